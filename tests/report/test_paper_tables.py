"""Tables IV and V: whole, the same as the presets state, and with measured models in the right columns."""

from __future__ import annotations

import pytest

from m3att.data.refer.splits import is_published
from m3att.presets.paper import PAPER_ROWS
from m3att.report.paper_tables import COLUMNS, TABLE_4, TABLE_5, column_of, table_4, table_5


def scores(dataset: str, split_by: str | None, split: str, pixels: str = "photos") -> dict[str, object]:
    precision = {f"0.{tenth}": 0.1 * tenth for tenth in range(5, 10)}
    named = {"dataset": dataset, "split_by": split_by, "split": split, "pixels": pixels}
    return {**named, "overall_iou": 0.5, "mean_iou": 0.4321, "precision": precision}


def test_the_tables_are_whole() -> None:
    assert len(TABLE_4) == 23 and len(TABLE_5) == 6
    assert {len(row.cells) for row in TABLE_4} == {len(COLUMNS)} == {10}
    assert {len(cells) for cells in TABLE_5.values()} == {5}
    assert all(cell == "-" or 0 < float(cell) < 100 for row in TABLE_4 for cell in row.cells)
    assert all(is_published(dataset) for dataset, _, _ in COLUMNS)


@pytest.mark.parametrize(("method", "backbone"), [("Ours (CNN)", "darknet53"), ("Ours (Swin)", "swin-b")])
def test_the_papers_own_rows_are_those_of_the_presets(method: str, backbone: str) -> None:
    row = next(row for row in TABLE_4 if row.method == method)
    for preset in PAPER_ROWS.values():
        at = list(COLUMNS).index((preset.dataset, preset.split_by, preset.split))
        assert float(row.cells[at]) == pytest.approx(100 * preset.iou[backbone])


def test_the_differences_that_the_text_states_are_in_table_v() -> None:
    """Sec. IV-D: 2.41 over MCN, and over 2 better than VLT, in Pr@0.5."""
    ours, mcn, vlt = (float(TABLE_5[name][0]) for name in ("Ours", "MCN", "VLT"))
    assert ours - mcn == pytest.approx(2.41)
    assert ours - vlt > 2


def test_a_measured_model_stands_in_its_column() -> None:
    view = table_4([("mine", [scores("refcoco+", "unc", "testA"), scores("shaperef", None, "val")])])
    assert view.measured == (("mine", "-", "-", "-", "-", "-", "-", "-", "50.00 / 43.21", "-", "-", "-", "-"),)
    assert view.heads[8] == "RefCOCO+ test A" == column_of(scores("refcoco+", "unc", "testA"))
    assert {len(row) for row in view.rows} == {len(view.heads)} and len(view.notes) == 1
    drawn = table_4([("mine", [scores("refcoco", "unc", "val", "layout")])])
    assert "saw layout in place of the photos: not comparable" in drawn.notes[-1]
    assert "None of the models" in table_4([("mine", [scores("shaperef", None, "val")])]).notes[-1]


def test_precision_stands_beside_whatever_it_was_measured_on() -> None:
    view = table_5([("mine", [scores("refcoco", "unc", "val"), scores("shaperef", None, "val")])])
    assert view.measured[0] == ("mine", "RefCOCO val", "50.00", "60.00", "70.00", "80.00", "90.00")
    assert view.measured[1][1] == "shaperef val"
    rela = {**scores("refcoco", "unc", "val"), "precision": {"0.7": 0.7, "0.8": 0.8, "0.9": 0.9}}
    assert table_5([("mine", [rela])]).measured[0][2:4] == ("-", "-")
