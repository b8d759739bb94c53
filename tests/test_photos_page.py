"""The tables of docs/photos.md against the raw figures in benchmarks/results."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
PAGE = (REPOSITORY / "docs" / "photos.md").read_text(encoding="utf-8")
SETS = {"RefCOCO": "refcoco", "RefCOCO+": "refcoco+"}


def raw(name: str) -> Any:
    return json.loads((REPOSITORY / "benchmarks" / "results" / f"photo-{name}.json").read_text("utf-8"))


def table(head: str) -> list[list[str]]:
    """The rows of the one table whose head begins with this text."""
    found = re.findall(rf"^\| {re.escape(head)}.*\n\|[-|]+\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    assert len(found) == 1, head
    return [[cell.strip() for cell in line[1:-1].split("|")] for line in found[0].splitlines()]


def cent(value: float) -> str:
    return f"{100 * value:.1f}"


def ends(interval: list[float]) -> str:
    return f"{cent(interval[0])} to {cent(interval[1])}"


def test_scores_have_the_figures_of_their_files() -> None:
    rows = table("expressions | answer")
    assert len(rows) == 4
    for expressions, answer, overall, mean, mean_ends, over_half, over_half_ends in rows:
        name = SETS[expressions]
        model = answer == "`photo`"
        scored = raw(f"{name}-{'photos' if model else 'largest'}")
        (iou, *iou_ends), (half, *half_ends) = raw(f"{name}-intervals")[answer.strip("`")].values()
        assert (overall, mean, over_half) == (cent(scored["overall_iou"]), cent(iou), cent(half))
        assert (mean, over_half) == (cent(scored["mean_iou"]), cent(scored["precision"]["0.5"]))
        assert (mean_ends, over_half_ends) == (ends(iou_ends), ends(half_ends))
        assert scored["images"] == 13


def test_scores_on_other_pictures_have_the_figures_and_the_photos_of_their_files() -> None:
    rows = table("expressions | pictures | mean IoU")
    for (_, pictures, mean, over_half), name in zip(rows, ("collages", "described"), strict=True):
        scored = raw(name)
        assert (mean, over_half) == (cent(scored["mean_iou"]), cent(scored["precision"]["0.5"]))
        if name == "described":
            assert pictures.startswith(f"{scored['images']} of the same 108 photos")


def test_calibration_has_the_figures_of_its_files() -> None:
    found = raw("refcoco-photos")["reliability"]
    assert table("score | masks") == [
        [
            f"{one['from']:.1f} to {one['to']:.1f}",
            str(one["expressions"]),
            *(cent(one[figure]) for figure in ("score", "mean_iou", "over_half")),
        ]
        for one in found["bins"]
        if one["expressions"]
    ]
    errors = table("masks | error before")
    for row, name in zip(errors[1:], SETS.values(), strict=True):
        assert row[-1] == cent(raw(f"{name}-photos")["reliability"]["expected_calibration_error"])
    low = [one for one in found["bins"] if one["to"] <= 0.31]
    right = round(sum(one["over_half"] * one["expressions"] for one in low))
    assert f"{right} of {sum(one['expressions'] for one in low)} had an IoU over 0.5" in PAGE
    for name, mean in (("refcoco", "0.41"), ("refcoco+", "0.35")):
        bins = raw(f"{name}-photos")["reliability"]["bins"]
        known = [one for one in bins if one["expressions"]]
        total = sum(one["score"] * one["expressions"] for one in known)
        assert f"{total / sum(one['expressions'] for one in known):.2f}" == mean and mean in PAGE


@pytest.mark.parametrize("head", ["answer | RefCOCO | share", "skill | RefCOCO"])
def test_failures_and_skills_have_the_figures_of_their_files(head: str) -> None:
    files = [raw(f"{name}-failures") for name in SETS.values()]
    group, figure = ("kinds", "share") if "share" in head else ("skills", "mean_iou")
    rows = table(head)
    assert {row[0] for row in rows} == set(files[0][group]) | set(files[1][group])
    for name, *cells in rows:
        for file, (count, mean, interval) in zip(files, (cells[:3], cells[3:]), strict=True):
            found = file[group][name]
            value, *limits = found[figure]
            assert (count, mean, interval) == (str(found["expressions"]), cent(value), ends(limits)), name


def test_answers_without_words_have_the_figures_of_their_files() -> None:
    files = [raw(f"{name}-failures") for name in SETS.values()]
    for name, *cells in table("answer | RefCOCO: mean IoU"):
        for file, given in zip(files, (cells[:3], cells[3:]), strict=True):
            found = file["answers"][name]
            iou, *limits = found["mean_iou"]
            assert given == [cent(iou), ends(limits), cent(found["precision_0.5"][0])], name


def test_the_network_without_the_words_has_the_figures_of_its_files() -> None:
    rows = table("expressions | pictures | figure")
    blind = "runs/photo-blind/last"
    for row, name in zip(rows[:2], SETS.values(), strict=True):
        iou, *limits = raw(f"blind-{name}-intervals")[blind]["mean IoU"]
        assert row[3:] == [cent(raw(f"{name}-photos")["mean_iou"]), cent(iou), ends(limits)]
    for row, name in zip(rows[2:4], ("collages", "described"), strict=True):
        assert row[3:] == [cent(raw(name)["mean_iou"]), cent(raw(f"blind-{name}")["mean_iou"]), ""]
        assert raw(name)["images"] == raw(f"blind-{name}")["images"]
    seen, unseen = raw("human-boxes")["answers"]["photo"], raw("blind-human-boxes")["answers"][blind]
    figure = "pointing_accuracy"
    assert rows[4][3:] == [cent(seen[figure]), cent(unseen[figure]), ends(unseen["intervals"][figure])]
