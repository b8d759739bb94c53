"""Where the time of an expression goes, operation by operation: a small table of PyTorch's profiler.

    python benchmarks/profile_tables.py [--preset NAME ...] [--expressions N] [--dtype TYPE] [--json FILE]

From the pixels of an image to the masks of its expressions, with random weights, one thread, after one pass that does
not count. The package that is found first is measured, so an older version is measured with PYTHONPATH set to its
`src`. Seconds are those of the profiler, beside whatever else the machine does: compare shares and counts.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile

from m3att.presets import PRESETS
from m3att.segmenter import Segmenter

ROWS = 12  # operations of a table
PHRASES = ("the large red car on the left of", "a man in blue on the left of the")


def segmenter_of(preset: str, dtype: str) -> Segmenter:
    """A network with random weights."""
    from m3att.bench.speed import Ours

    torch.manual_seed(0)
    return Ours.of_preset(preset, dtype).segmenter


def table(segmenter: Segmenter, expressions: int) -> dict[str, Any]:
    """The operations that take most time themselves: milliseconds, calls and share."""
    image_HWC = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    texts = [PHRASES[number % 2] for number in range(expressions)]
    segmenter.encode(image_HWC).segment(texts)
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        segmenter.encode(image_HWC).segment(texts)
    events = sorted(profiler.key_averages(), key=lambda event: -event.self_cpu_time_total)
    total = sum(event.self_cpu_time_total for event in events)
    rows = [
        {
            "operation": event.key,
            "calls": event.count,
            "ms": round(event.self_cpu_time_total / 1000, 1),
            "share": round(event.self_cpu_time_total / total, 4),
        }
        for event in events[:ROWS]
    ]
    return {"total_ms": round(total / 1000, 1), "operations": rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", nargs="+", choices=PRESETS, default=["refcoco-darknet53", "refcoco-swin-b"])
    parser.add_argument("--expressions", type=int, default=10)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    found: dict[str, Any] = {"expressions": given.expressions, "dtype": given.dtype, "torch": torch.__version__}
    for preset in given.preset:
        found[preset] = table(segmenter_of(preset, given.dtype), given.expressions)
        print(f"{preset}: {found[preset]['total_ms']} ms")
        for row in found[preset]["operations"]:
            print(f"  {row['operation']:50} {row['calls']:6} calls {row['ms']:9} ms {100 * row['share']:5.1f} %")
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
