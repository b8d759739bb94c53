"""docs/reproduction.md: every interval and verdict follows from the raw files, and what was not run says so."""

from __future__ import annotations

import json
import re
import statistics
from pathlib import Path
from typing import Any

import pytest

from m3att.ablations import TABLES
from m3att.report.seeds import paired_interval

REPOSITORY = Path(__file__).resolve().parent.parent
PAGE = (REPOSITORY / "docs" / "reproduction.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
# The two rows of each claim in the raw files, in the order of the page; None: not run yet.
PAIRS: list[tuple[str, str, str] | None] = [
    None, ("2", "baseline-m3att", "baseline-lav"), None, ("2", "ours", "baseline-lav"), ("2", "imi", "baseline-m3att"),
    ("2", "imi", "imi-constant"), ("2", "imi-constant", "baseline-m3att"), ("2", "ours", "imi"),
    ("2", "ours", "baseline-m3att"), ("1", "3-shared", "3-independent"), None, None, ("1", "3-shared", "3-generic"),
    None, None, None, None, None,
]  # fmt: skip
# The same of the paper's own figures.
PAPER: list[tuple[str, str, str] | None] = [
    ("2", "baseline-m3att", "baseline-generic"), None, ("2", "ours", "baseline-generic"), None,
    ("2", "imi", "baseline-m3att"), ("2", "imi", "imi-constant"), ("2", "imi-constant", "baseline-m3att"),
    ("2", "ours", "imi"), ("2", "ours", "baseline-m3att"), ("1", "3-shared", "3-independent"),
    ("1", "1-shared", "1-independent"), ("1", "3-shared", "3-generic"), None, ("1", "3-shared", "1-shared"),
    ("1", "4-shared", "3-shared"), None, ("3", "ours", "decoder-only"), ("3", "ours", "concatenate"),
]  # fmt: skip


def rows_of(section: str) -> list[list[str]]:
    lines = [line for line in SECTIONS[section].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line[1:-1].split("|")] for line in lines[2:]]


def raw(name: str) -> Any:
    return json.loads((REPOSITORY / "benchmarks" / "results" / f"{name}.json").read_text("utf-8"))


def ends(interval: tuple[float, float] | list[float]) -> str:
    return f"{100 * interval[0]:+.1f} to {100 * interval[1]:+.1f}"


CLAIMS = rows_of("Claims of Sec. IV-B")


@pytest.mark.parametrize("number", range(len(PAIRS)))
def test_a_claim_has_the_figures_of_the_raw_file_and_the_verdict_that_follows(number: int) -> None:
    claim, paper, here, interval, verdict = CLAIMS[number]
    stated = PAPER[number]
    if stated is not None:
        table, first, second = stated
        one, other = (row.paper["mean_iou"] for row in (TABLES[table].find([name])[0] for name in (first, second)))
        assert paper == f"{one - other:+.2f}", claim
    else:
        assert paper == "", claim
    pair = PAIRS[number]
    if pair is None:
        assert (here, interval, verdict) == ("", "", "not run yet"), claim
        return
    table, first, second = pair
    rows = {row["name"]: row for row in raw(f"ablation-table-{table}")["rows"]}
    by_seed = [
        dict(zip(rows[name]["seeds"], rows[name]["figures"]["mean_iou"]["values"], strict=True))
        for name in (first, second)
    ]
    differences = [by_seed[0][seed] - by_seed[1][seed] for seed in by_seed[0] if seed in by_seed[1]]
    found = paired_interval(differences)
    assert found is not None
    assert (here, interval) == (f"{100 * statistics.mean(differences):+.1f}", ends(found)), claim
    expected = float(paper or here)
    sure = found[0] > 0 or found[1] < 0
    agrees = (found[0] > 0) == (expected > 0)
    assert verdict == ("cannot be told" if not sure else "holds" if agrees else "does not hold"), claim


def test_every_claim_is_judged() -> None:
    assert len(CLAIMS) == len(PAIRS) == len(PAPER)
    words = ("holds", "does not hold", "cannot be told", "not run yet")
    assert all(row[-1].startswith(words) for row in CLAIMS + rows_of("Claims of Sec. IV-C"))


def test_the_minimal_example_has_the_figures_of_its_file() -> None:
    measured = raw("minimal")["rows"]
    shown = rows_of("A minimal example")
    assert len(shown) == len(measured)
    for cells, row in zip(shown, measured, strict=True):
        assert cells[:2] == [row["module"], str(row["words"])]
        for cell, question in zip(cells[2:], ("what", "where"), strict=True):
            text = f"{100 * statistics.mean(row[question]):.1f}"
            difference = row.get(f"{question}_difference")
            assert cell == (f"{text} ({ends(difference['interval'])})" if difference else text)


def test_the_comparison_on_symbols_has_the_figures_of_its_file() -> None:
    measured = raw("symbolic")
    shown = rows_of("The main comparison on symbols")
    assert len(shown) == len(measured["rows"]) and measured["seeds"] == 3
    for cells, row in zip(shown, measured["rows"], strict=True):
        assert cells[0] == row["row"]
        figures = [", ".join(f"{100 * value:.1f}" for value in row[key]) for key in ("all", "match", "compare")]
        assert cells[1:4] == figures
        pairs = [own - first for own, first in zip(row["all"], measured["rows"][0]["all"], strict=True)]
        interval = paired_interval(pairs)
        assert interval is not None
        less = [f"{100 * statistics.mean(pairs):+.1f}", ends(interval)] if row["less_first"] else ["", ""]
        assert cells[4:] == less


def test_the_first_pair_has_the_figures_of_its_file() -> None:
    rows = {row["name"]: row for row in raw("ablation-table-1-generic")["rows"] if row["n"]}
    values = [f"{100 * rows[name]['figures']['mean_iou']['mean']:.1f}" for name in ("3-shared", "3-generic")]
    section = SECTIONS["A first pair on ShapeRef"]
    assert (
        f"M3Att has a mean IoU of {values[0]} on 250 images of val, and the paper's generic attention {values[1]}."
        in (section)
    )
    assert [rows[name]["n"] for name in ("3-shared", "3-generic")] == [1, 1]


def test_why_has_the_figures_of_its_file() -> None:
    models = raw("why-table-1-generic")["models"]
    shown = rows_of("Why the rows differ")
    for cells, name in zip(shown, ("3-generic", "3-shared"), strict=True):
        model = models[f"table-1/{name}/seed-0"]
        assert cells[1:4] == [f"{100 * value:.1f}" for value in model["looks"]["mean_iou"].values()]
        assert cells[4:6] == [f"{model['words'][key]:.2f}" for key in ("f_dec", "f_t")]
        assert cells[6] == ", ".join(f"{value:.2f}" for value in model["gradient"])
    ranks = [layer["effective_rank"] for layer in models["table-1/3-shared/seed-0"]["f_mul"]]
    assert (f"{min(ranks):.1f}", f"{max(ranks):.1f}") == ("1.0", "1.1")


def test_links_and_raw_files_exist() -> None:
    for target in re.findall(r"\]\(([^)#]+)", PAGE):
        assert (REPOSITORY / "docs" / target).is_file(), target
    for path in re.findall(r"`((?:benchmarks|tests)/[\w./-]+)`", PAGE):
        assert (REPOSITORY / path).is_file(), path
