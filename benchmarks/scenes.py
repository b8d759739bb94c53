"""How many ShapeRef scenes a core draws in a second: image, masks, JPEG and expressions.

python benchmarks/scenes.py [--images 600] [--size 160] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import cv2
import numpy as np

from m3att.data.shaperef.scene import compose
from m3att.data.shaperef.source import ShapeRefSource
from m3att.data.shaperef.world import SPLITS, VARIANTS


def main() -> None:
    """Print scenes per second, of wall clock and of this process's own CPU time."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=600)
    parser.add_argument("--size", type=int, default=160)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    found: dict[str, dict[str, float]] = {}
    cv2.setNumThreads(1)
    for split in SPLITS:
        wall, cpu = time.perf_counter(), time.process_time()
        for index in range(given.images):
            compose(np.random.default_rng([0, index]), split, given.size)
        found[f"{split}, scenes alone"] = rates(given.images, wall, cpu)
    for variant in VARIANTS:
        source = ShapeRefSource(variant, "train", given.images, size=given.size)
        wall, cpu = time.perf_counter(), time.process_time()
        for index in range(given.images):
            source.read(index)
        found[f"train, with expressions of {variant}"] = rates(given.images, wall, cpu)
    for what, rate in found.items():
        print(f"{what}: {rate['wall']:.0f} a second of wall clock, {rate['cpu']:.0f} a second of CPU time")
    if given.json is not None:
        values = {"images": given.images, "size": given.size, "scenes_per_second": found}
        given.json.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")


def rates(images: int, wall: float, cpu: float) -> dict[str, float]:
    """Scenes per second of wall clock and of CPU time.

    Args:
        images: how many were drawn.
        wall: when that began, on the performance counter.
        cpu: when it began, in CPU time.
    """
    return {
        "wall": round(images / (time.perf_counter() - wall), 1),
        "cpu": round(images / (time.process_time() - cpu), 1),
    }


if __name__ == "__main__":
    main()
