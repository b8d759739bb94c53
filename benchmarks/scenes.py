"""How many ShapeRef scenes a core draws in a second: image, masks, JPEG and expressions.

python benchmarks/scenes.py [--images 600] [--size 160]
"""

from __future__ import annotations

import argparse
import time

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
    given = parser.parse_args()
    cv2.setNumThreads(1)
    for split in SPLITS:
        wall, cpu = time.perf_counter(), time.process_time()
        for index in range(given.images):
            compose(np.random.default_rng([0, index]), split, given.size)
        report(f"{split}, scenes alone", given.images, wall, cpu)
    for variant in VARIANTS:
        source = ShapeRefSource(variant, "train", given.images, size=given.size)
        wall, cpu = time.perf_counter(), time.process_time()
        for index in range(given.images):
            source.read(index)
        report(f"train, with expressions of {variant}", given.images, wall, cpu)


def report(what: str, images: int, wall: float, cpu: float) -> None:
    """One line."""
    by_wall, by_cpu = images / (time.perf_counter() - wall), images / (time.process_time() - cpu)
    print(f"{what}: {by_wall:.0f} a second of wall clock, {by_cpu:.0f} a second of CPU time", flush=True)


if __name__ == "__main__":
    main()
