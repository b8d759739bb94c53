"""The rates of this machine that bound a network: multiply-adds of a matrix product, and bytes moved in a second.

    python benchmarks/machine_rates.py [--json FILE]

One thread, in CPU seconds, the best of several rounds. The matrices are those of a 1x1 convolution of the mask decoder:
2704 cells, 512 channels in and out. The bytes are read and written by adding a number to a tensor of 128 MiB, which no
cache holds.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import torch

CELLS, CHANNELS = 2704, 512
NUMBERS = 2**25  # 128 MiB in float32
ROUNDS = 3


def least_seconds(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    """CPU seconds of the fastest round, after one that does not count."""
    work()
    seconds = []
    for _ in range(rounds):
        begun = time.process_time()
        work()
        seconds.append(time.process_time() - begun)
    return min(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    figures: dict[str, float] = {}
    for name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        maps_PC, weight_CC = torch.randn(CELLS, CHANNELS).to(dtype), torch.randn(CHANNELS, CHANNELS).to(dtype)
        seconds = least_seconds(lambda maps_PC=maps_PC, weight_CC=weight_CC: maps_PC @ weight_CC)  # type: ignore[misc]
        figures[f"multiply_adds_per_second_{name}"] = CELLS * CHANNELS**2 / seconds
    numbers = torch.zeros(NUMBERS)
    figures["bytes_per_second"] = 2 * 4 * NUMBERS / least_seconds(lambda: numbers.add_(1.0))
    for key, value in figures.items():
        print(f"{key}: {value / 1e9:.1f} G")
    if given.json:
        given.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
