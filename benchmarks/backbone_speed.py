"""How fast EfficientNet-Lite runs on a CPU: memory layouts, folded BatchNorm and bfloat16.

    python benchmarks/backbone_speed.py [--size lite0] [--threads 1 2] [--rounds 15] [--clock wall] [--json FILE]

Each figure is the shortest of some rounds, in milliseconds an image. `plain` is convolution after convolution with
BatchNorm behind each, in PyTorch's own layout; `channels_last` the same in the layout of the backbone; `folded` is
what a frozen backbone runs: one convolution for both. `bfloat16` is the folded one under autocast. Run it on an idle
machine; on a busy one `--clock cpu` counts the time that the process computes, which is of use with one thread only.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import torch
from torch import Tensor
from torch.nn import functional

from m3att.model.vision.efficientnet_lite import SIZES, EfficientNetLite
from m3att.model.vision.folding import FoldedConvolution

INPUTS = ((1, 224), (1, 256), (1, 320), (8, 224), (8, 256), (8, 320))  # images, side


CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def shortest(run: Callable[[], object], rounds: int, clock: Callable[[], float]) -> float:
    """Seconds of the fastest of some rounds, after two that do not count."""
    seconds = []
    for _ in range(rounds + 2):
        begun = clock()
        run()
        seconds.append(clock() - begun)
    return min(seconds[2:])


def in_pytorchs_layout(backbone: EfficientNetLite, pixels_BCHW: Tensor) -> Tensor:
    """The backbone's coarsest map (B, C, H, W) without its change of layout."""
    features_BCHW = functional.relu6(backbone.stem(pixels_BCHW))
    for block in backbone.blocks:
        features_BCHW = block(features_BCHW)
    return features_BCHW


def measure(
    backbone: EfficientNetLite, images: int, side: int, rounds: int, clock: Callable[[], float] = time.perf_counter
) -> dict[str, float]:
    """Milliseconds an image of each way to run the backbone."""
    pixels_BCHW = torch.randn(images, 3, side, side)
    found: dict[str, float] = {}
    with torch.no_grad():
        with patch.object(FoldedConvolution, "may_fold", lambda _: False):
            found["plain"] = shortest(lambda: in_pytorchs_layout(backbone, pixels_BCHW), rounds, clock)
            found["channels_last"] = shortest(lambda: backbone(pixels_BCHW), rounds, clock)
        found["folded"] = shortest(lambda: backbone(pixels_BCHW), rounds, clock)
        with torch.autocast("cpu", torch.bfloat16):
            found["bfloat16"] = shortest(lambda: backbone(pixels_BCHW), rounds, clock)
    return {name: round(1000 * seconds / images, 1) for name, seconds in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", choices=SIZES, default="lite0")
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--json", type=Path)
    words = parser.parse_args()
    backbone = EfficientNetLite(words.size).eval().requires_grad_(False)
    rows = []
    for threads in words.threads:
        torch.set_num_threads(threads)
        for images, side in INPUTS:
            times = measure(backbone, images, side, words.rounds, CLOCKS[words.clock])
            row = {"threads": threads, "images": images, "side": side, **times}
            rows.append(row)
            print(", ".join(f"{key} {value}" for key, value in row.items()), flush=True)
    if words.json is not None:
        words.json.write_text(
            json.dumps({"size": words.size, "clock": words.clock, "rows": rows}, indent=1) + "\n", encoding="utf-8"
        )


if __name__ == "__main__":
    main()
