"""Tables for the terminal: the right figures in the right columns, in per cent."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from rich.table import Table

from m3att.calibration import BINS, reliability
from m3att.data.refer.check_report import DatasetReport, Faults, SplitReport
from m3att.data.refer.splits import Counts
from m3att.engine.scores import Scores
from m3att.metrics import Expression, MaskCounts
from m3att.protocols import ORIGINAL, PROTOCOLS
from m3att.report.tables import (
    FEWEST_MASKS,
    faults_of,
    plain_table,
    protocols_table,
    reliability_table,
    scores_heading,
    scores_table,
    skills_table,
    splits_table,
)

ABOUT = {
    "dataset": "refcoco", "split_by": "unc", "split": "val", "pixels": "layout", "same_words": False, "mixed": False,
}  # fmt: skip


def lines(table: Table | None) -> list[list[str]]:
    assert table is not None
    console = Console(width=100, color_system=None)
    with console.capture() as capture:
        console.print(table)
    return [line.split() for line in capture.get().splitlines()]


ORIGINAL_AT_HALF = replace(ORIGINAL, threshold=0.5)
EXPRESSIONS = [Expression(0, ("kind",)), Expression(1, ("kind", "size"))]


def scores_of(expressions: list[Expression], *areas: tuple[int, int, int]) -> dict[str, Any]:
    """Of intersection, prediction and truth in pixels, the same under every protocol but for one pixel less at 0.5."""
    counts = {protocol: MaskCounts() for protocol in (*PROTOCOLS.values(), ORIGINAL_AT_HALF)}
    for protocol, counted in counts.items():
        for intersection, predicted, truth in areas:
            less = int(protocol == ORIGINAL_AT_HALF)
            counted.add(intersection - less, predicted - less, truth, protocol.least_pixels)
    return Scores(counts, ORIGINAL, tuple(PROTOCOLS.values()), expressions, ABOUT).to_dict()


@pytest.fixture
def scores() -> dict[str, Any]:
    return scores_of(EXPRESSIONS, (9, 9, 10), (3, 3, 6))


def test_every_threshold_has_its_row(scores: dict[str, Any]) -> None:
    head, loose, strict = lines(scores_table(scores))
    assert " ".join(head) == "threshold overall IoU mean IoU Pr@0.5 Pr@0.6 Pr@0.7 Pr@0.8 Pr@0.9"
    assert loose == ["0.35", "75.0", "70.0", "50.0", "50.0", "50.0", "50.0", "0.0"]
    assert strict[:3] == ["0.5", "62.5", "56.7"]


def test_a_floor_knows_no_threshold(scores: dict[str, Any]) -> None:
    _, only = lines(scores_table({**scores, "floor": "largest"}))
    assert only[0] == "any"


def test_protocols_stand_side_by_side_with_the_leading_figure_starred(scores: dict[str, Any]) -> None:
    head, *rows = lines(protocols_table(scores))
    assert " ".join(head) == "protocol overall IoU mean IoU Pr@0.5 Pr@0.6 Pr@0.7 Pr@0.8 Pr@0.9"
    cells = {row[0]: row[1:] for row in rows}
    assert list(cells) == list(PROTOCOLS)
    assert cells["original"] == ["75.0", "70.0*", "50.0", "50.0", "50.0", "50.0", "0.0"]
    assert cells["lavt"] == ["75.0*", "70.0", "100.0", "50.0", "50.0", "50.0", "50.0"]
    assert cells["rela"] == ["0.0*", "0.0", "-", "-", "0.0", "0.0", "0.0"]  # nine pixels are no answer


def test_a_reliability_diagram_needs_a_mask_for_each_of_its_ranges() -> None:
    assert FEWEST_MASKS == BINS
    score_N, iou_N = np.full(FEWEST_MASKS, 0.75), np.linspace(0.25, 0.75, FEWEST_MASKS)
    head, row = lines(reliability_table(reliability(score_N, iou_N)))
    assert " ".join(head) == "score masks mean score mean IoU IoU over 0.5"
    assert " ".join(row) == "0.7 to 0.8 10 75.0 50.0 50.0"
    assert reliability_table(reliability(score_N[1:], iou_N[1:])) is None


def test_where_nothing_is_meant_the_accuracies_stand_there() -> None:
    found = scores_of([*EXPRESSIONS, Expression(1, has_target=False)], (90, 90, 100), (50, 60, 90), (0, 30, 0))
    head, *rows = lines(protocols_table(found))
    assert " ".join(head) == "protocol overall IoU mean IoU N-acc. T-acc. Pr@0.7 Pr@0.8 Pr@0.9"
    assert {row[0]: row[3:5] for row in rows}["rela"] == ["100.0", "100.0"]
    assert {row[0]: row[3:5] for row in rows}["original"] == ["0.0", "100.0"]
    assert Console(width=80).measure(protocols_table(found)).maximum <= 80


def test_skills_have_their_rows(scores: dict[str, Any]) -> None:
    _, kind, size = lines(skills_table(scores))
    assert kind[:3] == ["kind", "2", "70.0"]
    assert size[:3] == ["size", "1", "50.0"]


def test_no_skills_no_table(scores: dict[str, Any]) -> None:
    assert skills_table({**scores, "by_skill": {}}) is None


def test_the_heading_says_what_was_scored(scores: dict[str, Any]) -> None:
    heading = scores_heading(scores)
    assert heading == "refcoco val (unc); 2 expressions on 2 images; pixels: layout; protocol: original"
    assert "blind" in scores_heading({**scores, "same_words": True})
    assert "12 expressions cut" in scores_heading({**scores, "cut_expressions": 12})


def test_tables_fit_a_terminal_of_80_columns(scores: dict[str, Any]) -> None:
    console = Console(width=80, color_system=None)
    for table in (scores_table(scores), skills_table(scores), protocols_table(scores)):
        assert table is not None
        assert console.measure(table).maximum <= 80


def report(**changes: Any) -> dict[str, Any]:
    none = Faults(0, ())
    split = SplitReport(1200, 2000, 3, 40, 9, 0, Counts(1200, 2000), "agrees", Faults(7, ("a.jpg",)), none, none)
    values: dict[str, Any] = {
        "dataset": "refcoco", "split_by": "unc", "word_limit": 15, "pixels": "layout", "image_root": "/here",
        "splits": {"train": split}, "unknown_splits": (), "annotations": 4, "crowds": 0, "without_segmentation": 0,
        "broken_segmentations": none, "repeated_ids": none, "shared_images": {},
    }  # fmt: skip
    return DatasetReport(**(values | changes)).to_dict()


def test_splits_stand_beside_the_published_counts() -> None:
    _, train = lines(splits_table(report()))
    assert train == ["train", "1,200", "2,000", "3", "40", "9", "0", "agrees", "(1,200,", "2,000)"]


def test_faults_are_told_one_by_one() -> None:
    assert faults_of(report()) == []  # a layout needs no photos
    assert faults_of(report(pixels="photos")) == ["train: photos missing in /here: a.jpg and 6 more"]
    found = faults_of(report(unknown_splits=("tset",), repeated_ids=Faults(1, ("5",)), shared_images={"train/val": 2}))
    assert found == ["annotation ids that stand twice: 5", "unknown split: tset", "train/val share 2 images"]


def test_a_plain_table_holds_its_words() -> None:
    assert lines(plain_table(("model", "size"), [("a", "1 MB")])) == [["model", "size"], ["a", "1", "MB"]]
