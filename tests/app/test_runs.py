"""`m3att runs` as it is typed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from m3att.app.cli import main


@pytest.fixture
def two(small_run: Path, tmp_path: Path) -> Path:
    """A folder with two runs that differ in one setting and in their scores."""
    for name in ("first", "second"):
        shutil.copytree(small_run, tmp_path / "runs" / name)
    second = tmp_path / "runs" / "second"
    text = (second / "config.yaml").read_text("utf-8")
    assert "batch_size: 8" in text
    (second / "config.yaml").write_text(text.replace("batch_size: 8", "batch_size: 9", 1), encoding="utf-8")
    with (second / "metrics.jsonl").open("a") as file:
        file.write('{"step": 4, "agreement": 0.99, "val/mean_iou": 0.99, "loss/total": 0.5}\n')
    return tmp_path / "runs"


def test_runs_are_listed_and_written(
    two: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["runs", "--json", "list.json"]) == 0  # the folder runs
    head, first, second = capsys.readouterr().out.splitlines()
    assert head.split()[:3] == ["run", "preset", "or"]
    assert first.startswith("runs/first ") and " 4 of 4 " in first and " finished " in first
    assert " 99.0 " in second and " 0.5000 " in second
    found = json.loads((tmp_path / "list.json").read_text("utf-8"))["runs"]
    assert [(run["folder"], run["state"], run["step"]) for run in found] == [
        ("runs/first", "finished", 4),
        ("runs/second", "finished", 4),
    ]
    assert main(["runs", "--sort", "score"]) == 0
    assert "second" in capsys.readouterr().out.splitlines()[1]


def test_runs_stand_side_by_side(two: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", str(two), "--compare", "--json", str(tmp_path / "found.json")]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["train.batch_size", "8", "9"] in lines and ["state", "finished", "finished"] in lines
    assert next(line[:2] for line in lines if line[0] == "last") == ["last", "val/mean_iou"]
    settings = json.loads((tmp_path / "found.json").read_text("utf-8"))["settings"]
    assert list(settings["train.batch_size"].values()) == [8, 9]
    assert main(["runs", str(two / "first"), str(two / "first"), "--compare"]) == 2  # the same one, found once


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "nowhere: no such folder"),
        (["empty"], "no run in empty; m3att train --out RUN makes one"),
        (["--sort", "size"], "invalid choice: 'size'"),
    ],
)
def test_misuse_is_answered_in_one_line(
    words: list[str], message: str, refused: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    assert message in refused("runs", *words)
