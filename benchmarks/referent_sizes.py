"""Measures the boxes of referents: how large they are, and how often the largest object of its kind is meant.

    python benchmarks/referent_sizes.py ROOT [DATASET ...]

Without DATASET those are RefCOCO and RefCOCO+, as split by UNC, with their train and val. No photo is needed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from m3att.data.refer.tables import open_tables


def measure(root: Path, datasets: list[str], splits: tuple[str, ...] = ("train", "val")) -> dict[str, float]:
    """Figures of the boxes of all referents.

    Args:
        root: folder of the data sets.
        datasets: their names.
        splits: of UNC.
    """
    found = [row for dataset in datasets for split in splits for row in boxes(root, dataset, split)]
    pixels_R, shares_R, largest_R = np.array(found).T
    return {
        "referents": len(found),
        "smallest_box_pixels": round(float(pixels_R.min())),
        "smallest_box_share": round(float(shares_R.min()), 4),
        "median_box_share": round(float(np.median(shares_R)), 4),
        "largest_of_its_kind": round(float(largest_R.mean()), 4),
    }


def boxes(root: Path, dataset: str, split: str) -> list[tuple[float, float, bool]]:
    """Of each referent: pixels of its box, their share of the image, and whether no object of its kind has more."""
    tables, found = open_tables(root, dataset, "unc", split), []
    objects, referents = tables.objects, tables.referents
    sides_A2 = objects.boxes_A4[:, 2:] - objects.boxes_A4[:, :2]
    pixels_A, kinds_A = sides_A2.prod(axis=1), np.asarray(objects.store["object_categories"])
    for ref in tables.refs.tolist():
        image, (row,) = int(referents.image_numbers[ref]), referents.targets(ref)
        rows = np.array(objects.rows_of_image(image))
        rivals = rows[(kinds_A[rows] == kinds_A[row]) & ~objects.crowd[rows]]
        share = pixels_A[row] / objects.image_sizes[image].astype(float).prod()
        found.append((float(pixels_A[row]), float(share), bool(pixels_A[row] >= pixels_A[rivals].max())))
    return found


if __name__ == "__main__":
    print(json.dumps(measure(Path(sys.argv[1]), sys.argv[2:] or ["refcoco", "refcoco+"]), indent=1))
