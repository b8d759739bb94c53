"""What a training step of a preset costs: CPU seconds against those of its forward pass, and memory.

    python benchmarks/training_memory.py PRESET [--images N] [--expressions N] [--ways "now" "recompute"] [--json FILE]

The weights are random, and so are the pixels and words. Three ways are compared in one process:

- "as drawn": the mask decoder's layers one after the other, as in Fig. 6, and all values are kept.
- "now": the mask decoder convolves first, enlarges a few maps at a time, and makes them again in the backward pass.
- "recompute": as "now", with `train.recompute`.

Seconds are CPU seconds of one thread, so that other programs on the machine count little. The peak is that of forward
and backward pass above what the process holds before: activations, gradients and passing values. It is read from Linux.
Start Python with MALLOC_MMAP_THRESHOLD_=1048576, so that the process returns what it frees.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn

from m3att.engine.costs import estimate_memory
from m3att.errors import ConfigError
from m3att.model.build import build_network
from m3att.model.network import M3AttNet
from m3att.model.recompute import recompute_layers
from m3att.presets import PRESETS

VOCABULARY = 1000
WAYS = ("as drawn", "now", "recompute")
TARGET_BATCH = (12, 48)  # images and expressions of RefCOCO's first batch


def resident(key: str) -> int:
    """Bytes that this process holds (VmRSS), or held at most since the last reset (VmHWM)."""
    found = re.search(rf"{key}:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    assert found is not None
    return int(found[1]) * 1024


def step(network: M3AttNet, size: int, words: int, images: int, expressions: int) -> dict[str, float]:
    """Forward and backward pass of one batch: CPU seconds of the forward pass and of both, and the peak in bytes."""
    generator = torch.Generator().manual_seed(0)
    pixels_BCHW = torch.randint(0, 256, (images, 3, size, size), dtype=torch.uint8, generator=generator)
    ids_NL = torch.randint(4, VOCABULARY, (expressions, words), generator=generator)
    given = (torch.arange(expressions) % images, ids_NL, torch.ones_like(ids_NL, dtype=torch.bool))
    network.zero_grad(set_to_none=True)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before, begun = resident("VmRSS"), time.process_time()
    output = network(pixels_BCHW, *given, reconstruct=True)
    forward = time.process_time() - begun
    loss = nn.functional.binary_cross_entropy_with_logits(
        output.mask_logits_NHW, torch.zeros_like(output.mask_logits_NHW)
    )
    loss.backward()
    return {
        "forward": forward,
        "step": time.process_time() - begun,
        "peak": resident("VmHWM") - before,
        "loss": float(loss.detach()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("preset")
    parser.add_argument("--images", type=int, default=2)
    parser.add_argument("--expressions", type=int, default=8)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    config = PRESETS[given.preset].config
    torch.manual_seed(0)
    network = build_network(config.model, config.input.size, VOCABULARY).train()
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    stack = network.mask_decoder.stack
    figures: dict[str, Any] = {"preset": given.preset, "images": given.images, "expressions": given.expressions}
    for way in WAYS:
        if way not in given.ways:
            continue
        stack.commutes = way != "as drawn"
        if way == "recompute":
            try:
                recompute_layers(network)
            except ConfigError as error:
                print(error)
                continue
        torch.manual_seed(1)
        found = step(network, config.input.size, config.model.word_limit, given.images, given.expressions)
        memory = estimate_memory(network, config)
        found |= {"per_image": memory.per_image, "per_expression": memory.per_expression}
        found |= {"batch": memory.batch(*TARGET_BATCH)}
        figures[way] = found
        print(
            f"{way}: forward {found['forward']:.2f} s, with backward {found['step']:.2f} s "
            f"({found['step'] / found['forward']:.2f} times), peak {found['peak'] / 2**30:.2f} GiB; estimate for "
            f"{TARGET_BATCH[1]} expressions on {TARGET_BATCH[0]} images {found['batch'] / 2**30:.2f} GiB",
            flush=True,
        )
        if given.json:  # after each way, because each takes minutes
            given.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
