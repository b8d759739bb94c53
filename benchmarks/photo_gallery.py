"""What a model does wrong on photos: its failures by kind and its scores by skill, with intervals over photos.

    python benchmarks/photo_gallery.py ROOT --out DIR [--model photo] [--dataset refcoco] [--split train] [--json FILE]

ROOT is a REFER folder whose photos and outlines are at hand. DIR receives `best.png`, `median.png` and `worst.png`
(predicted masks with the true outline, for developers: the photos may not be published) and `failures.json`. An answer
is right if its IoU is over 0.5. Every other answer is a failure; `m3att.report.failures` explains the kinds. FILE
receives the figures of the tables that are printed, as fractions, without photos and expressions.

Beside the model stand answers that no words were read for: the largest annotated object of the photo, the one whose
box lies most centrally, and any one (the mean over all objects). They are given the outline, which a model has to find.

An interval holds the middle 95 per cent of 10,000 draws of whole photos with replacement.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from m3att import Segmenter
from m3att.config import DataConfig
from m3att.data.masks import draw
from m3att.data.open import open_source
from m3att.data.sample import Sample
from m3att.mask_map import mask_maps
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
    parser.add_argument("--json", type=Path, metavar="FILE")
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
    figures = figures_of(answers, blind)
    print_tables(figures, f"{given.model} on {given.dataset}")
    if given.json is not None:
        about = {"model": given.model, "weights_sha256": segmenter.pretrained.weights_sha256()}
        about |= {"dataset": given.dataset, "split": given.split}
        given.json.write_text(json.dumps({**about, **figures}, indent=1) + "\n", encoding="utf-8")


def answers_of(segmenter: Segmenter, sample: Sample) -> list[tuple[NDArray[np.bool_], float]]:
    """Mask and score of each expression of a photo, as `predict` makes them, also where no word is known."""
    scene, decision = segmenter.encode(sample.image_HWC), (segmenter.threshold, segmenter.region)
    logits_NHW = segmenter.mask_logits(scene.features, list(sample.expressions))
    maps = mask_maps(logits_NHW, scene.resize, segmenter.backend.mask_stride)
    return [(one.mask(*decision), one.score(*decision, segmenter.model.calibration)) for one in maps]


def figures_of(answers: Sequence[Answer], blind: Sequence[dict[str, tuple[float, float]]]) -> dict[str, Any]:
    """The scores, the answers by kind, and the scores by skill, as fractions. Three numbers: a value and its interval.

    Args:
        answers: of the model.
        blind: for each of them the IoU and whether it is right, by kind of answer without words.
    """
    photo_N = np.array([answer.image for answer in answers])
    iou_N = np.array([answer.iou for answer in answers])
    scores, skills = {}, {}
    for name in ("model", *BLIND):
        pairs = (
            [(one.iou, float(one.iou > HALF)) for one in answers] if name == "model" else [one[name] for one in blind]
        )
        pair_N2 = np.array(pairs)
        cells = [mean_interval(pair_N2[:, column], photo_N) for column in range(2)]
        scores[name] = dict(zip(("mean_iou", "precision_0.5"), map(list, cells), strict=True))
    kinds = {}
    for kind in KINDS:
        kind_N = np.array([float(answer.kind == kind) for answer in answers])
        kinds[kind] = {"expressions": int(kind_N.sum()), "share": list(mean_interval(kind_N, photo_N))}
    for skill in (*SKILLS, NO_SKILL):
        rows = np.flatnonzero([skill in answer.skills for answer in answers])
        if len(rows):
            skills[skill] = {
                "expressions": len(rows),
                "mean_iou": list(mean_interval(iou_N[rows], photo_N[rows])),
                "precision_0.5": float((iou_N[rows] > HALF).mean()),
            }
    counts = {"expressions": len(answers), "photos": len(set(photo_N.tolist()))}
    return {**counts, "answers": scores, "kinds": kinds, "skills": skills}


def print_tables(figures: dict[str, Any], title: str) -> None:
    """Prints the scores, the answers by kind, and the scores by skill, as tables of Markdown, in per cent.

    Args:
        figures: of `figures_of`.
        title: what was scored.
    """
    print(f"\n{title}: {figures['expressions']} expressions on {figures['photos']} photos\n")
    print("| answer | mean IoU | 95 % interval | Pr@0.5 | 95 % interval |\n|---|---|---|---|---|")
    for name, found in figures["answers"].items():
        print(f"| {name} | {cells_of(found['mean_iou'])} | {cells_of(found['precision_0.5'])} |")
    print("\n| answer | expressions | share | 95 % interval |\n|---|---|---|---|")
    for kind, found in figures["kinds"].items():
        print(f"| {kind} | {found['expressions']} | {cells_of(found['share'])} |")
    print("\n| skill | expressions | mean IoU | 95 % interval | Pr@0.5 |\n|---|---|---|---|---|")
    for skill, found in figures["skills"].items():
        right = 100 * found["precision_0.5"]
        print(f"| {skill} | {found['expressions']} | {cells_of(found['mean_iou'])} | {right:.1f} |")


def cells_of(interval: Sequence[float]) -> str:
    """A value and its interval as two cells of a table, in per cent."""
    value, low, high = (100 * part for part in interval)
    return f"{value:.1f} | {low:.1f} to {high:.1f}"


def sheets_of(answers: Sequence[Answer]) -> dict[str, list[Answer]]:
    """The best, the median and the worst answers."""
    ordered = sorted(answers, key=lambda answer: -answer.iou)
    middle = max(0, len(ordered) // 2 - FEW // 2)
    return {"best": ordered[:FEW], "median": ordered[middle : middle + FEW], "worst": ordered[-FEW:]}


if __name__ == "__main__":
    main()
