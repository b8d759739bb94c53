"""Ablation tables: means and spreads by hand, and how partial and failed rows are shown."""

from __future__ import annotations

import json
from typing import Any

import pytest

from m3att.ablations import TABLES, Row, Table
from m3att.errors import DataError
from m3att.report.ablation_tables import summarise, to_latex, to_markdown, value_at

TABLE = Table(
    "9",
    "Table IX: a trial",
    "Model",
    ("mean_iou", "precision_0.5"),
    (
        Row("plain", "#0 Plain_one", {}, {"mean_iou": 62.04, "precision_0.5": 73.52}, against="full"),
        Row("val", "VAL & co", {"model.decoder.attention": "val"}, remark="fails to converge", against="full"),
        Row("full", "#1 Full + IMI*", {}, {"mean_iou": 67.88, "precision_0.5": 79.01}),
    ),
)


def finished(mean_iou: float, precision: float = 0.5, **scores: Any) -> dict[str, Any]:
    about = {
        "dataset": "shaperef", "split": "val", "split_by": None, "images": 20, "expressions": 1234,
        "pixels": "drawn", "protocol": "original", "threshold": 0.5,
    }  # fmt: skip
    found = {"mean_iou": mean_iou, "overall_iou": mean_iou / 2, "precision": {"0.5": precision, "0.9": 0.1}}
    return {
        "state": "finished",
        "budget": {"steps": 1200, "batch_size": 48, "input_size": 96},
        "seconds": 420.0,
        "scores": {**found, **about, **scores},
    }


FAILED = {"state": "failed", "reason": "the loss is nan at step 340: lower --train.learning_rate"}
WHOLE = {
    "plain": {0: finished(0.40), 1: finished(0.43), 2: finished(0.49)},
    "val": {0: FAILED, 1: FAILED, 2: FAILED},
    "full": {0: finished(0.50, 0.6), 1: finished(0.52, 0.6), 2: finished(0.57, 0.6)},
}


def test_means_and_spreads_by_hand() -> None:
    summary = summarise(TABLE, WHOLE, [0, 1, 2])
    plain, val, full = summary["rows"]
    # 0.40, 0.43, 0.49: deviations -0.04, -0.01, 0.05; squares 0.0042; over 2: 0.0021.
    found = plain["figures"]["mean_iou"]
    assert found["mean"] == pytest.approx(0.44)
    assert found["spread"] == pytest.approx(0.0021**0.5)
    assert (found["n"], found["values"], found["paper"]) == (3, [0.40, 0.43, 0.49], 0.6204)
    assert plain["figures"]["overall_iou"]["mean"] == pytest.approx(0.22)
    assert plain["figures"]["overall_iou"]["paper"] is None
    assert full["figures"]["precision_0.5"]["mean"] == pytest.approx(0.6)
    # Seed by seed: -0.10, -0.09, -0.08.
    assert plain["difference"]["mean"] == pytest.approx(-0.09)
    assert plain["difference"]["spread"] == pytest.approx(0.01)
    assert plain["difference"]["paper"] == pytest.approx(-0.0584)
    assert full["difference"] is None
    assert val["figures"]["mean_iou"]["mean"] is None
    assert [one["seed"] for one in val["failed"]] == [0, 1, 2]
    assert summary["whole"] is True
    assert summary["runs"] == {"asked": 9, "finished": 6, "failed": 3}
    assert summary["minutes"] == 7.0
    assert json.loads(json.dumps(summary)) == summary


def test_markdown() -> None:
    text = to_markdown(summarise(TABLE, WHOLE, [0, 1, 2]), TABLE)
    assert text.startswith(
        "### Table IX: a trial\n\n| Model | IoU | Pr@0.5 | overall IoU | IoU, difference | 95 % interval |"
    )
    lines = [line for line in text.splitlines() if line.startswith("|")][2:]
    assert lines == [
        "| #0 Plain_one | 44.0 ± 4.6 (62.04) | 50.0 ± 0.0 (73.52) | 22.0 ± 2.3 | -9.0 ± 1.0 (-5.84) | -11.5 to -6.5 "
        "| - | 7.0 | 3 |",
        "| VAL & co | failed (fails to converge) | failed | failed | - | - | - | - | 0 + 3 failed |",
        "| #1 Full + IMI* | 53.0 ± 3.6 (67.88) | 60.0 ± 0.0 (79.01) | 26.5 ± 1.8 |  |  | - | 7.0 | 3 |",
    ]
    assert "Partial" not in text
    assert "Failed: val, seed 1: the loss is nan at step 340" in text
    assert "on shaperef val: 1,234 expressions on 20 images" in text
    assert "Each run: 1,200 steps of at most 48 expressions; 7 minutes of training on average." in text
    assert "Difference: to #1 Full + IMI*, seed by seed; its 95 % interval is Student's t over the seeds." in text


def test_intervals_and_equal_time_by_hand() -> None:
    fast = finished(0.4) | {"seconds": 100.0, "curve": [[10, 50.0, 0.2], [20, 100.0, 0.4]]}
    slow = finished(0.6) | {"seconds": 200.0, "curve": [[10, 80.0, 0.3], [20, 200.0, 0.6]]}
    results = {
        "plain": {0: fast, 1: fast},
        "full": {0: slow, 1: finished(0.5) | {"seconds": 200.0, "curve": slow["curve"]}},
    }
    summary = summarise(TABLE, results, [0, 1])
    plain, _, full = summary["rows"]
    # Differences -0.2 and -0.1; their mean is -0.15, its standard error 0.05, and t with one degree is 12.706.
    assert plain["difference"]["interval"] == pytest.approx([-0.15 - 0.05 * 12.7062, -0.15 + 0.05 * 12.7062], abs=1e-4)
    # The fastest run ends after 100 seconds; there the slow one is a sixth of the way from 0.3 to 0.6.
    assert summary["equal_minutes"] == pytest.approx(100 / 60, abs=0.01)
    assert full["equal_time"]["mean"] == pytest.approx(0.35) and plain["equal_time"]["mean"] == pytest.approx(0.4)
    assert [value_at(slow["curve"], at) for at in (0, 40, 80, 200, 900)] == pytest.approx([0, 0.15, 0.3, 0.6, 0.6])
    text = to_markdown(summary, TABLE)
    assert "-78.5 to +48.5" in text and "at 1.67 minutes, when the fastest run ended" in text


def test_learning_rates_are_told_by_row_where_they_differ() -> None:
    fast, slow = finished(0.4) | {"learning_rate": 1e-3}, finished(0.5) | {"learning_rate": 4e-4}
    text = to_markdown(summarise(TABLE, {"plain": {0: fast}, "full": {0: slow}}, [0]), TABLE)
    assert "Learning rates: plain 0.001, full 0.0004." in text
    text = to_markdown(summarise(TABLE, {"plain": {0: slow}, "full": {0: slow}}, [0]), TABLE)
    assert "Learning rate: 0.0004." in text and "Learning rates" not in text
    assert "Learning rate" not in to_markdown(summarise(TABLE, WHOLE, [0, 1, 2]), TABLE)


def test_a_table_that_is_not_whole_says_so() -> None:
    results = {"plain": {0: finished(0.4), 1: FAILED}, "full": {1: finished(0.5)}}
    summary = summarise(TABLE, results, [0, 1])
    assert summary["whole"] is False
    text = to_markdown(summary, TABLE)
    assert "**Partial: 2 of 6 runs finished, 1 failed.**" in text
    lines = [line for line in text.splitlines() if line.startswith("|")][2:]
    # One run has no spread, and there is no pair of one seed.
    assert lines[0] == "| #0 Plain_one | 40.0 (62.04) | 50.0 (73.52) | 20.0 | - (-5.84) | - | - | 7.0 | 1 + 1 failed |"
    assert lines[1] == "| VAL & co | - (fails to converge) | - | - | - | - | - | - | 0 |"
    assert "Partial: 2 of 6 runs finished, 1 failed." in to_latex(summary, TABLE)


def test_a_table_of_nothing_still_has_the_papers_figures() -> None:
    text = to_markdown(summarise(TABLE, {}, [0]), TABLE)
    assert "| #1 Full + IMI* | - (67.88) | - (79.01) | - |  |  | - | - | 0 |" in text


def test_latex() -> None:
    text = to_latex(summarise(TABLE, WHOLE, [0, 1, 2]), TABLE)
    lines = text.splitlines()
    assert lines[0] == "\\begin{table}" and lines[-1] == "\\end{table}"
    assert "\\begin{tabular}{lrrrrrrrr}" in lines
    row = "\\#0 Plain\\_one & 44.0 $\\pm$ 4.6 (62.04) & 50.0 $\\pm$ 0.0 (73.52) & 22.0 $\\pm$ 2.3"
    assert any(line.startswith(row) and line.endswith(" \\\\") for line in lines)
    assert any(line.startswith("VAL \\& co & failed (fails to converge)") for line in lines)
    assert any(line.startswith("\\#1 Full + IMI$^*$ &") for line in lines)
    assert lines.count("\\hline") == 3
    body = [line for line in lines if line.endswith("\\\\")]
    assert {len(line.replace("\\&", "").split("&")) for line in body} == {9}


def test_a_table_with_groups_has_one_line_a_label() -> None:
    table = TABLES["1"]
    results = {"3-shared": {0: finished(0.5)}, "3-generic": {0: finished(0.4)}, "3-vision-query": {0: FAILED}}
    summary = summarise(table, results, [0])
    lines = [line for line in to_markdown(summary, table).splitlines() if line.startswith("|")]
    assert lines[0].startswith("| Layers | Shared: IoU | Shared: Pr@0.5 | Shared: runs | Independent: IoU |")
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| 1", "| 2", "| 3", "| 4"]
    cells = [cell.strip() for cell in lines[4].strip("|").split("|")]
    assert cells == [
        "3", "50.0 (67.88)", "50.0 (79.01)", "1", "- (67.80)", "- (78.94)", "0", "40.0 (64.40)", "50.0 (75.81)", "1",
        "failed (fails to converge)", "failed", "0 + 1 failed",
        *(["- (not in the paper)", "-", "0"] * 2),
    ]  # fmt: skip
    assert {line.count("|") for line in lines} == {20}
    assert "3-generic less 3-shared, seed by seed: -10.0 (-3.48), 95 % interval -." in to_markdown(summary, table)
    assert lines[2].endswith("|  |  |  |")  # VAL alone has one line only
    latex = to_latex(summary, table).splitlines()
    spans = next(line for line in latex if "multicolumn" in line)
    assert spans.count("\\multicolumn{3}{c}") == 6
    assert latex.count("\\hline") == 3


def test_runs_that_were_scored_on_other_images_are_not_mixed() -> None:
    results = {"plain": {0: finished(0.4), 1: finished(0.4, images=30)}}
    with pytest.raises(DataError, match=r"table 9: its runs were not scored on the same images \(images: 20, 30\)"):
        summarise(TABLE, results, [0, 1])
