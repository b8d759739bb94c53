"""Compares masks that OpenCV draws from outlines with those that COCO draws.

    python benchmarks/outlines.py INSTANCES.json

INSTANCES.json is a COCO instance file, such as one of the REFER layout. Crowd regions, run lengths and outlines without
a pixel are left out. No photo is needed.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pycocotools import mask as coco


def iou_of(outlines: list[list[float]], height: int, width: int) -> tuple[int, float] | None:
    """Pixels of COCO's mask of an object, and the IoU of OpenCV's with it; None where COCO draws no pixel."""
    theirs = coco.decode(coco.merge(coco.frPyObjects(outlines, height, width))) > 0
    if not theirs.any():
        return None
    drawn = np.zeros((height, width), np.uint8)
    for outline in outlines:
        # As programs commonly do: each part on its own, corners cut to whole numbers.
        cv2.fillPoly(drawn, [np.asarray(outline).reshape(-1, 2).astype(np.int32)], 1)
    return int(theirs.sum()), float((theirs & (drawn > 0)).sum() / (theirs | (drawn > 0)).sum())


def compare(instances: dict[str, Any]) -> dict[str, Any]:
    """Mean IoU over all objects of a COCO file, and over the quarter with the fewest pixels."""
    sizes = {image["id"]: (image["height"], image["width"]) for image in instances["images"]}
    found = []
    for annotation in instances["annotations"]:
        outlines = annotation.get("segmentation")
        if isinstance(outlines, list) and outlines and not annotation.get("iscrowd"):
            one = iou_of(outlines, *sizes[annotation["image_id"]])
            if one is not None:
                found.append(one)
    found.sort()
    ious = np.array([iou for _, iou in found])
    return {
        "objects": len(found),
        "mean_iou": round(float(ious.mean()), 3),
        "mean_iou_of_the_smallest_quarter": round(float(ious[: max(len(ious) // 4, 1)].mean()), 3),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    print(json.dumps(compare(json.loads(parser.parse_args().file.read_text(encoding="utf-8"))), indent=1))
