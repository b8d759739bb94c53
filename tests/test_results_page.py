"""The tables of docs/results.md and README.md against the raw figures in benchmarks/results."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from m3att.weights.models import BUNDLED, bundled_models

LEGS = ("", "-late", "-middle", "-start")


@pytest.fixture(scope="module")
def results(repository: Path) -> dict[str, dict[str, Any]]:
    """The scores of every scored model and floor, by file name."""
    read = {
        path.stem: json.loads(path.read_text("utf-8")) for path in (repository / "benchmarks/results").glob("*.json")
    }
    return {name: values for name, values in read.items() if isinstance(values, dict) and "mean_iou" in values}


def test_figures_are_of_the_bundled_weights(results: dict[str, dict[str, Any]]) -> None:
    for model in bundled_models():
        weights = hashlib.sha256((BUNDLED / model / "model.safetensors").read_bytes()).hexdigest()
        scored = {name: values["weights_sha256"] for name, values in results.items() if values.get("model") == model}
        assert len(scored) == (9 if model.startswith("shaperef") else 2)
        assert set(scored.values()) == {weights}, model


def table_rows(text: str) -> Iterator[list[str]]:
    """Cells of every row of every table, without emphasis."""
    for line in text.splitlines():
        if line.startswith("|"):
            yield [cell.strip().replace("*", "").replace("`", "") for cell in line.strip("|").split("|")]


def row_of(text: str, *starts: str) -> list[str]:
    """The one row whose first cells are these."""
    found = [cells for cells in table_rows(text) if cells[: len(starts)] == list(starts)]
    assert len(found) == 1, f"{starts}: {len(found)} rows"
    return found[0]


def percent(fraction: float) -> str:
    return f"{100 * fraction:.1f}"


def figures(scores: Mapping[str, Any], *precisions: str) -> list[str]:
    """As a table has them: overall IoU, mean IoU, and precision at some thresholds."""
    return [percent(scores[name]) for name in ("overall_iou", "mean_iou")] + [
        percent(scores["precision"][at]) for at in precisions
    ]


@pytest.fixture(scope="module")
def page(repository: Path) -> str:
    return (repository / "docs" / "results.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def readme(repository: Path) -> str:
    return (repository / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("variant", ["shaperef", "shaperef+", "shaperefg"])
@pytest.mark.parametrize("split", ["val", "testA", "testB"])
def test_shaperef(results: dict[str, dict[str, Any]], page: str, variant: str, split: str) -> None:
    scores = {leg: results[f"shaperef-tiny{leg}-{variant}-{split}"] for leg in LEGS}
    for leg, values in scores.items():
        assert (values["model"], values["dataset"], values["split"]) == (f"shaperef-tiny{leg}", variant, split)
    own = scores[""]
    expected = [f"{own['expressions']:,}", *figures(own, "0.5", "0.7", "0.9")]
    assert row_of(page, variant, split)[2:] == expected + [percent(scores[leg]["mean_iou"]) for leg in LEGS[1:]]


@pytest.mark.parametrize("leg", [*LEGS, "-hour"])
def test_skills(results: dict[str, dict[str, Any]], page: str, leg: str) -> None:
    scores = results[f"shaperef-tiny{leg}-shaperef-val"]["by_skill"]
    assert len(scores) == 10
    assert row_of(page, "skill")[1:] == sorted(scores)
    assert row_of(page, f"shaperef-tiny{leg}")[1:] == [percent(scores[skill]["mean_iou"]) for skill in sorted(scores)]


@pytest.mark.parametrize(
    ("row", "name"),
    [
        ("refcoco-layout-tiny (1.9 M parameters, bundled)", "refcoco-layout-tiny-val"),
        ("floor: the image's largest object", "refcoco-layout-largest"),
        ("floor: blind to language, by the same recipe and budget", "refcoco-layout-blind-val"),
    ],
)
def test_layouts(results: dict[str, dict[str, Any]], page: str, row: str, name: str) -> None:
    assert row_of(page, row)[1:] == figures(results[name]["at"]["0.5"], "0.5", "0.7", "0.9")


def test_muon_on_layouts(results: dict[str, dict[str, Any]], page: str) -> None:
    row = row_of(page, "Muon beside AdamW at 4e-4, the last 400 steps at 160 pixels")
    assert row[2:] == figures(results["muon-layout-refcoco-val"], "0.5", "0.7", "0.9")


def test_photos(results: dict[str, dict[str, Any]], page: str) -> None:
    expected = figures(results["photos"], "0.5", "0.7", "0.9")
    section = re.split(r"^## ", page, flags=re.MULTILINE)
    (photos,) = (text for text in section if text.startswith("Real photos, memorised"))
    last = list(table_rows(photos))[-1]
    assert [cell.partition(" ")[0] for cell in last] == expected


@pytest.mark.parametrize(
    ("row", "name"),
    [
        ("RefCOCO val, human sentences", "refcoco-layout-tiny-val"),
        ("the same, largest object as a floor", "refcoco-layout-largest"),
        ("the same, blind to language as a floor", "refcoco-layout-blind-val"),
        ("ShapeRef val", "shaperef-tiny-shaperef-val"),
        ("13 RefCOCO photos, memorised", "photos"),
    ],
)
def test_the_readme(results: dict[str, dict[str, Any]], readme: str, row: str, name: str) -> None:
    assert row_of(readme, row)[2:5] == figures(results[name]["at"]["0.5"], "0.5")
