"""What a model does wrong on photos: its failures by kind and its scores by skill, with intervals over photos.

    python benchmarks/photo_gallery.py ROOT --out DIR [--model photo] [--dataset refcoco] [--split train]

ROOT is a REFER folder whose photos and outlines are at hand. DIR receives `best.png`, `median.png` and `worst.png`
(predicted masks with the true outline, for developers: the photos may not be published) and `failures.json`. An answer
is right if its IoU is over 0.5. Every other answer is a failure; `m3att.report.failures` explains the kinds.

Beside the model stand answers that no words were read for: the largest annotated object of the photo, the one whose
box lies most centrally, and any one (the mean over all objects). They are given the outline, which a model has to find.

An interval holds the middle 95 per cent of 10,000 draws of whole photos with replacement.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from m3att import Segmenter
from m3att.calibration import gather, score_of
from m3att.config import DataConfig
from m3att.data.masks import draw
from m3att.data.open import open_source
from m3att.data.sample import Sample
from m3att.regions import mask_over
from m3att.report.examples import draw_example
from m3att.report.failures import ANY, CENTRAL, HALF, LARGEST, blind_answers, iou, kind_of
from m3att.report.gallery import contact_sheet
from m3att.report.intervals import mean_interval
from m3att.report.skills import NO_SKILL, SKILLS, skills_of

# Of expressions that name something, where the categories are known.
KINDS = ("right", "outline", "part", "several", "other of the kind", "other kind", "nothing")
FEW = 9  # pictures of a sheet
BLIND = (LARGEST, CENTRAL, ANY)


class Answer(NamedTuple):
    """One answer of the model.

    Args:
        image: number of the photo in its source.
        position: of the expression among the photo's.
        expression: its text.
        iou: with the referent.
        score: that the model gave.
        kind: one of KINDS.
        skills: that the expression asks for.
    """

    image: int
    position: int
    expression: str
    iou: float
    score: float
    kind: str
    skills: tuple[str, ...]


def main() -> None:
    """Reads the arguments, segments, and writes and prints everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", metavar="ROOT", type=Path)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--model", default="photo")
    parser.add_argument("--dataset", default="refcoco")
    parser.add_argument("--split", default="train")
    given = parser.parse_args()
    source = open_source(
        DataConfig(root=str(given.root), dataset=given.dataset, split=given.split, pixels="photos"), given.split
    )
    segmenter = Segmenter.from_pretrained(given.model, "cpu")
    answers: list[Answer] = []
    blind: list[dict[str, tuple[float, float]]] = []
    masks: dict[tuple[int, int], NDArray[np.bool_]] = {}
    for index in range(len(source)):
        sample = source.read(index)
        drawn = [(draw(mask), category) for mask, category in source.read_objects(index)]
        found = answers_of(segmenter, sample)
        truths_MHW = sample.masks_MHW
        for position, ((mask_HW, score), mask) in enumerate(zip(found, sample.mask_index_N, strict=True)):
            truth_HW, text = truths_MHW[mask], sample.expressions[position]
            kind, overlap = kind_of(mask_HW, truth_HW, drawn), iou(mask_HW, truth_HW)
            answers.append(Answer(index, position, text, overlap, score, kind, skills_of(text)))
            masks[index, position] = mask_HW
            blind.append(blind_answers(truth_HW, drawn))
    given.out.mkdir(parents=True, exist_ok=True)
    told = json.dumps([answer._asdict() for answer in answers], indent=1)
    (given.out / "failures.json").write_text(told, encoding="utf-8")
    for name, chosen in sheets_of(answers).items():
        panels: list[tuple[Image.Image, str]] = []
        notes = []
        for answer in chosen:
            sample = source.read(answer.image, (answer.position,))
            panels.append((draw_example(sample, masks[answer.image, answer.position]), answer.expression))
            notes.append(f"IoU {100 * answer.iou:.0f} %, score {answer.score:.2f}, {answer.kind}")
        contact_sheet(panels, 3, 400, f"{name}: {given.model} on {given.dataset}", notes).save(
            given.out / f"{name}.png"
        )
    print_tables(answers, blind, f"{given.model} on {given.dataset}")


def answers_of(segmenter: Segmenter, sample: Sample) -> list[tuple[NDArray[np.bool_], float]]:
    """Mask and score of each expression of a photo, as `predict` makes them, also where no word is known."""
    scene, words = segmenter.encode(sample.image_HWC), segmenter.tokenizer(sample.expressions)
    logits_NHW = segmenter.backend.segment(scene.features, words.word_ids_NL.numpy(), words.word_mask_NL.numpy())
    maps_NHW = scene.resize.probability(logits_NHW, segmenter.backend.mask_stride)
    found = []
    for map_HW in maps_NHW:
        mask_HW = mask_over(map_HW, segmenter.threshold, segmenter.region)
        evidence = gather(map_HW, mask_HW, segmenter.threshold)
        found.append((mask_HW, score_of(evidence, segmenter.pretrained.calibration)))
    return found


def print_tables(answers: Sequence[Answer], blind: Sequence[dict[str, tuple[float, float]]], title: str) -> None:
    """Prints the scores, the answers by kind, and the scores by skill, as tables of Markdown, in per cent.

    Args:
        answers: of the model.
        blind: for each of them the IoU and whether it is right, by kind of answer without words.
        title: what was scored.
    """
    photo_N = np.array([answer.image for answer in answers])
    iou_N = np.array([answer.iou for answer in answers])
    print(f"\n{title}: {len(answers)} expressions on {len(set(photo_N.tolist()))} photos\n")
    print("| answer | mean IoU | 95 % interval | Pr@0.5 | 95 % interval |\n|---|---|---|---|---|")
    of_model = [(answer.iou, float(answer.iou > HALF)) for answer in answers]
    for name in ("model", *BLIND):
        pair_N2 = np.array(of_model if name == "model" else [one[name] for one in blind])
        cells = [mean_interval(pair_N2[:, column], photo_N) for column in range(2)]
        told = " | ".join(f"{100 * value:.1f} | {100 * low:.1f} to {100 * high:.1f}" for value, low, high in cells)
        print(f"| {name} | {told} |")
    print("\n| answer | expressions | share | 95 % interval |\n|---|---|---|---|")
    for kind in KINDS:
        kind_N = np.array([float(answer.kind == kind) for answer in answers])
        value, low, high = mean_interval(kind_N, photo_N)
        print(f"| {kind} | {int(kind_N.sum())} | {100 * value:.1f} | {100 * low:.1f} to {100 * high:.1f} |")
    print("\n| skill | expressions | mean IoU | 95 % interval | Pr@0.5 |\n|---|---|---|---|---|")
    for skill in (*SKILLS, NO_SKILL):
        rows = np.flatnonzero([skill in answer.skills for answer in answers])
        if len(rows):
            value, low, high = mean_interval(iou_N[rows], photo_N[rows])
            right = 100 * float((iou_N[rows] > HALF).mean())
            print(f"| {skill} | {len(rows)} | {100 * value:.1f} | {100 * low:.1f} to {100 * high:.1f} | {right:.1f} |")


def sheets_of(answers: Sequence[Answer]) -> dict[str, list[Answer]]:
    """The best, the median and the worst answers."""
    ordered = sorted(answers, key=lambda answer: -answer.iou)
    middle = max(0, len(ordered) // 2 - FEW // 2)
    return {"best": ordered[:FEW], "median": ordered[middle : middle + FEW], "worst": ordered[-FEW:]}


if __name__ == "__main__":
    main()
