"""Does a model answer better from larger images, or if its answer about the mirrored photo is averaged in?

    python benchmarks/mirrored.py calibration.jsonl --model photo --sizes 320 448 --json FILE

The file is a data set in JSON Lines, such as the one that `calibration_data.py` writes: none of its photos is trained
on or judged by. Expressions that name nothing are left out. In the expressions about the mirrored photo, left and right
are exchanged. The answer is the connected region around the most probable pixel.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from m3att import Segmenter
from m3att.config import DataConfig
from m3att.data.augment.pictures import mirror
from m3att.data.open import open_source
from m3att.data.source import Source
from m3att.files import replace_file
from m3att.pretrained import load_model
from m3att.regions import mask_over

WAYS = ("photo", "mirrored", "mean of both")
Answer = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]  # of the photo, of its mirror image, truth


def main() -> None:
    """Ask about each photo and its mirror image at each size, score, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default="photo")
    parser.add_argument("--sizes", type=int, nargs="+", default=[320, 448], help="sides of the square input in pixels")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    data = DataConfig(root=str(given.data), dataset="jsonl", held_out=0)
    source = open_source(data, data.split, divided=False)
    rows: list[dict[str, Any]] = []
    for size in given.sizes:
        pretrained = load_model(given.model)
        config = replace(pretrained.config, input=replace(pretrained.config.input, size=size))
        segmenter = Segmenter(replace(pretrained, config=config))
        answers = list(ask(segmenter, source))
        for number, way in enumerate(WAYS):
            iou_N = np.array([score(answer, number, segmenter.threshold) for answer in answers])
            row = {"size": size, "answer": way, "expressions": len(iou_N), "mean_iou": float(iou_N.mean())}
            rows.append(row | {"precision_0.5": float((iou_N > 0.5).mean())})
            print(json.dumps(rows[-1]))
    if given.json is not None:
        replace_file(given.json, (json.dumps(rows, indent=1) + "\n").encode())


def ask(segmenter: Segmenter, source: Source) -> Iterator[Answer]:
    """The probability maps of every expression that names something, and its true mask."""
    for number in range(len(source)):
        sample = source.read(number)
        named = [n for n, row in enumerate(sample.mask_index_N) if sample.masks_MHW[row].any()]
        if not named:
            continue
        other = mirror(sample)
        if other is sample:  # nobody can tell its words mirrored
            continue
        here = segmenter.encode(sample.image_HWC).segment([sample.expressions[n] for n in named])
        there = segmenter.encode(other.image_HWC).segment([other.expressions[n] for n in named])
        for n, one, two in zip(named, here, there, strict=True):
            yield one.probability, two.probability[:, ::-1], sample.masks_MHW[sample.mask_index_N[n]]


def score(answer: Answer, way: int, threshold: float) -> float:
    """IoU of an answer in one of the ways of WAYS."""
    here_HW, there_HW, truth_HW = answer
    probability_HW = (here_HW, there_HW, (here_HW + there_HW) / 2)[way]
    mask_HW = mask_over(probability_HW, threshold, "peak")
    return float((mask_HW & truth_HW).sum() / (mask_HW | truth_HW).sum())


if __name__ == "__main__":
    main()
