"""What a model does wrong on photos: its failures by kind and its scores by skill, with intervals over photos.

    python benchmarks/photo_gallery.py ROOT --out DIR [--model photo] [--dataset refcoco] [--split train]

ROOT is a REFER folder whose photos and outlines are at hand. DIR receives `best.png`, `median.png` and `worst.png`
(predicted masks with the true outline, for developers: the photos may not be published) and `failures.json`. An answer
is right if its IoU is over 0.5. Every other answer is a failure, of the first kind that fits:

- nothing: the mask is empty, or no annotated object has an IoU of 0.1 with it or contains half of it.
- part: at least three quarters of the mask lie in the referent, and less than half of the referent in the mask.
- several: the mask has at least half of the referent and at least half of another object.
- outline: no other annotated object agrees better with the mask than the referent.
- other of the kind, other kind: the object that agrees best is another one.

Beside the model stand answers that no words were read for: the largest annotated object of the photo, the one whose
box lies most centrally, and any one (the mean over all objects). They are given the outline, which a model has to find.

An interval holds the middle 95 per cent of 10,000 draws of whole photos with replacement.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from m3att import Segmenter
from m3att.calibration import gather, score_of
from m3att.config import DataConfig
from m3att.data.annotation import decode_segmentation
from m3att.data.open import open_source
from m3att.data.sample import Sample
from m3att.errors import DataError
from m3att.report.examples import draw_example
from m3att.report.gallery import contact_sheet

DRAWS, HALF = 10_000, 0.5
KINDS = ("right", "outline", "part", "several", "other of the kind", "other kind", "nothing")
TOUCHED, INSIDE, FEW = 0.1, 0.75, 9  # least IoU with an object, least share of a part in it, pictures of a sheet
BLIND = ("largest object", "most central object", "any object")
SKILLS = {
    "place": r"left\w*|right\w*|top|bottom|upper|lower|middle|cent(er|re)|front|back|background|corner|far\w*|near\w*|"
    r"clos\w+|edge|side",
    "order": r"first|second|third|fourth|fifth|last|1st|2nd|3rd|4th|5th|\w+th from",
    "colour": r"black|white|gr[ae]y|red|orange|yellow|green|blue|purple|pink|brown|tan|beige|dark|blond\w*|light|gold",
    "clothing": r"shirts?|t-?shirts?|jackets?|coats?|hats?|caps?|dress|jeans|pants|shorts|ties?|suits?|glasses|"
    r"sweaters?|hoodies?|tops|vests?|helmets?|uniforms?|shoes|scarf|skirts?|jerseys?|stripe\w*|plaid|wearing",
    "person word": r"m[ae]n|wom[ae]n|guys?|girls?|boys?|lad(y|ies)|kids?|child\w*|person|people|mom|dad|mother|father|"
    r"bab(y|ies)|dude|player|batter|catcher|umpire|chick|female|male",
    "relation": r"next to|behind|beside|between|under|above|on|by|holding|with|near|facing|looking|sitting|standing|"
    r"touching|eating|riding|against",
    "size": r"big\w*|small\w*|large\w*|little|tall\w*|short\w*|tiny|whole|full",
    "negation": r"not|no|without|isn't|doesn't|only",
}
SKILLS_OF = {name: re.compile(rf"\b(?:{words})\b", re.IGNORECASE) for name, words in SKILLS.items()}
NO_SKILL = "none of these"


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
    objects = json.loads((given.root / given.dataset / "instances.json").read_bytes())["annotations"]
    segmenter = Segmenter.from_pretrained(given.model, "cpu")
    answers: list[Answer] = []
    blind: list[dict[str, tuple[float, float]]] = []
    masks: dict[tuple[int, int], NDArray[np.bool_]] = {}
    for index in range(len(source)):
        sample = source.read(index)
        others = [entry for entry in objects if entry["image_id"] == sample.image_id and not entry.get("iscrowd")]
        drawn = [(outline(entry, sample.image_HWC.shape[:2]), entry["category_id"]) for entry in others]
        found = answers_of(segmenter, sample)
        truths_MHW = sample.masks_MHW
        for position, ((mask_HW, score), mask) in enumerate(zip(found, sample.mask_index_N, strict=True)):
            truth_HW, text = truths_MHW[mask], sample.expressions[position]
            kind, overlap = kind_of(mask_HW, truth_HW, drawn), iou(mask_HW, truth_HW)
            answers.append(Answer(index, position, text, overlap, score, kind, skills_of(text)))
            masks[index, position] = mask_HW
            blind.append(blind_answers(truth_HW, [object_HW for object_HW, _ in drawn]))
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
        mask_HW = map_HW > segmenter.threshold
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
        cells = [interval(pair_N2[:, column], photo_N) for column in range(2)]
        told = " | ".join(f"{100 * value:.1f} | {100 * low:.1f} to {100 * high:.1f}" for value, low, high in cells)
        print(f"| {name} | {told} |")
    print("\n| answer | expressions | share | 95 % interval |\n|---|---|---|---|")
    for kind in KINDS:
        kind_N = np.array([float(answer.kind == kind) for answer in answers])
        value, low, high = interval(kind_N, photo_N)
        print(f"| {kind} | {int(kind_N.sum())} | {100 * value:.1f} | {100 * low:.1f} to {100 * high:.1f} |")
    print("\n| skill | expressions | mean IoU | 95 % interval | Pr@0.5 |\n|---|---|---|---|---|")
    for skill in (*SKILLS, NO_SKILL):
        rows = np.flatnonzero([skill in answer.skills for answer in answers])
        if len(rows):
            value, low, high = interval(iou_N[rows], photo_N[rows])
            right = 100 * float((iou_N[rows] > HALF).mean())
            print(f"| {skill} | {len(rows)} | {100 * value:.1f} | {100 * low:.1f} to {100 * high:.1f} | {right:.1f} |")


def outline(entry: dict[str, Any], size: tuple[int, int]) -> NDArray[np.bool_]:
    """The mask of an annotation (H, W).

    Raises:
        DataError: where it has only a box, which is no outline to sort failures by.
    """
    if not entry.get("segmentation"):
        raise DataError(f"annotation {entry['id']}: has no outline")
    return decode_segmentation(entry["segmentation"], *size)


def kind_of(
    mask_HW: NDArray[np.bool_], truth_HW: NDArray[np.bool_], objects: Sequence[tuple[NDArray[np.bool_], int]]
) -> str:
    """The kind of an answer; see the top of this file.

    Args:
        mask_HW: predicted.
        truth_HW: of the referent, which is one of the objects.
        objects: masks and categories of all objects of the photo.
    """
    own = iou(mask_HW, truth_HW)
    if own > HALF:
        return "right"
    at = int(np.argmax([iou(truth_HW, object_HW) for object_HW, _ in objects]))
    others = [(iou(mask_HW, object_HW), object_HW, category) for object_HW, category in without(objects, at)]
    best = max(others, key=lambda other: other[0], default=(0.0, truth_HW, objects[at][1]))
    precision, recall = share(mask_HW, truth_HW), share(truth_HW, mask_HW)
    inside = max([precision, *(share(mask_HW, object_HW) for _, object_HW, _ in others)])
    if not mask_HW.any() or (max(own, best[0]) < TOUCHED and inside < HALF):
        return "nothing"
    if precision >= INSIDE and recall < HALF:
        return "part"
    if recall >= HALF and any(share(object_HW, mask_HW) >= HALF for _, object_HW, _ in others):
        return "several"
    if own >= best[0]:
        return "outline"
    return "other of the kind" if best[2] == objects[at][1] else "other kind"


def blind_answers(truth_HW: NDArray[np.bool_], objects: Sequence[NDArray[np.bool_]]) -> dict[str, tuple[float, float]]:
    """IoU and whether it is right, for each answer of BLIND.

    Args:
        truth_HW: of the referent.
        objects: masks of all objects of the photo.
    """
    iou_A = np.array([iou(truth_HW, object_HW) for object_HW in objects])
    middle = np.array(truth_HW.shape) / 2
    away_A = [np.hypot(*(centre_of(object_HW) - middle)) for object_HW in objects]
    chosen = (int(np.argmax([object_HW.sum() for object_HW in objects])), int(np.argmin(away_A)))
    found = [(float(iou_A[at]), float(iou_A[at] > HALF)) for at in chosen]
    return dict(zip(BLIND, [*found, (float(iou_A.mean()), float((iou_A > HALF).mean()))], strict=True))


def centre_of(mask_HW: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Row and column of the middle of a mask's box; far away where the mask is empty."""
    if not mask_HW.any():
        return np.full(2, np.inf)
    return np.array([(np.flatnonzero(mask_HW.any(axis=1 - axis))[[0, -1]].mean() + 0.5) for axis in range(2)])


def without(objects: Sequence[Any], at: int) -> list[Any]:
    """All but one of them."""
    return [*objects[:at], *objects[at + 1 :]]


def share(part_HW: NDArray[np.bool_], whole_HW: NDArray[np.bool_]) -> float:
    """The share of one mask that lies in another; 0 of an empty one."""
    return float(np.count_nonzero(part_HW & whole_HW)) / max(1, np.count_nonzero(part_HW))


def iou(one_HW: NDArray[np.bool_], other_HW: NDArray[np.bool_]) -> float:
    """Intersection over union; 0 of two empty masks."""
    return float(np.count_nonzero(one_HW & other_HW)) / max(1, np.count_nonzero(one_HW | other_HW))


def skills_of(expression: str) -> tuple[str, ...]:
    """What an expression asks for, by its words."""
    return tuple(name for name, words in SKILLS_OF.items() if words.search(expression)) or (NO_SKILL,)


def sheets_of(answers: Sequence[Answer]) -> dict[str, list[Answer]]:
    """The best, the median and the worst answers."""
    ordered = sorted(answers, key=lambda answer: -answer.iou)
    middle = max(0, len(ordered) // 2 - FEW // 2)
    return {"best": ordered[:FEW], "median": ordered[middle : middle + FEW], "worst": ordered[-FEW:]}


def interval(value_N: NDArray[np.float64], photo_N: NDArray[np.int64]) -> tuple[float, float, float]:
    """A mean and the ends of its interval over photos.

    Args:
        value_N: of each expression.
        photo_N: the photo of each.
    """
    counts_B = np.bincount(np.unique(photo_N, return_inverse=True)[1])
    sums_B = np.bincount(np.unique(photo_N, return_inverse=True)[1], weights=value_N)
    drawn_DB = np.random.default_rng(0).integers(len(counts_B), size=(DRAWS, len(counts_B)))
    means_D = sums_B[drawn_DB].sum(axis=1) / counts_B[drawn_DB].sum(axis=1)
    low, high = np.percentile(means_D, [2.5, 97.5])
    return float(value_N.mean()), float(low), float(high)


if __name__ == "__main__":
    main()
