"""`m3att train --overfit-one-batch` and `--find-rate` as they are typed."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from m3att.app.cli import main
from m3att.app.rehearse import rate_lines, spread
from m3att.config import RunConfig


def test_one_batch_has_a_verdict_and_an_exit_code(
    small_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["train", "--config", str(small_config), "--overfit-one-batch", "--train.steps", "3"]
    assert main([*words, "--json", "found/one.json"]) == 1  # three steps are not enough
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["step", "loss", "loss/mask", "loss/reconstruction"]
    assert [line.split()[0] for line in lines[1:4]] == ["1", "2", "3"]
    assert lines[-2].startswith("one batch (8 expressions of ") and "in 3 steps the loss of the masks went" in lines[-2]
    assert lines[-1].startswith("trouble: ") and "--find-rate" in lines[-1]
    found = json.loads(Path("found/one.json").read_text("utf-8"))
    assert (found["learned"], found["steps"], len(found["losses"])) == (False, 3, 3)
    assert [path.name for path in tmp_path.iterdir()] == ["found"]
    monkeypatch.setattr("m3att.engine.rehearsal.LEARNED", 9.0)
    assert main(words) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("ok: the loss falls to near zero")


def test_rates_are_tried_and_the_curve_is_written(
    small_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "rate"
    words = ["train", "--config", str(small_config), "--find-rate", "--out", str(out), "--train.steps", "20"]
    code = main(words)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["learning", "rate", "loss,", "smoothed"]
    assert lines[-1] == f"curve: {out / 'rates.png'}, {out / 'rates.json'}"
    found = json.loads((out / "rates.json").read_text("utf-8"))
    assert len(found["rates"]) == len(found["losses"]) == found["steps"] <= 20
    assert code == (found["suggestion"] is None)
    with Image.open(out / "rates.png") as picture:
        assert picture.format == "PNG" and picture.width > 400
    assert sorted(path.name for path in out.iterdir()) == ["rates.json", "rates.png"]


@pytest.mark.parametrize(
    ("found", "last"),
    [
        (
            {"ended": "", "suggestion": 3.16e-4, "lowest_loss_at": 0.01},
            "suggestion: --train.learning_rate 0.00032 (now 0.005)",
        ),
        (
            {"ended": "early", "suggestion": None},
            "no suggestion: the loss falls at no learning rate; try m3att train --overfit-one-batch",
        ),
    ],
)
def test_what_a_range_test_says(found: dict[str, object], last: str) -> None:
    lines = rate_lines(found, RunConfig())
    assert lines[-1] == last
    assert lines[0] == (
        "the test ended early: early"
        if found["ended"]
        else "the loss is lowest at 0.01 and falls most steeply at 0.00032"
    )


def test_rows_are_spread_over_all_steps() -> None:
    assert spread(3, 12) == [0, 1, 2]
    assert spread(100, 4) == [0, 33, 66, 99]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--preset shaperef-tiny --find-rate --dry-run", "--dry-run and --find-rate: give one of them"),
        ("--preset shaperef-tiny --find-rate --resume", "--find-rate starts a run anew: leave out --resume"),
        ("--preset shaperef-tiny --find-rate", "--out is missing: name the run's folder"),
        (
            "--preset shaperef-tiny --find-rate --out run --json a.json",
            "--json says what --dry-run or --overfit-one-batch found",
        ),
        ("--overfit-one-batch", "what to train? give --preset NAME"),
    ],
)
def test_misuse_is_answered_in_one_line(
    line: str, message: str, refused: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in refused("train", *line.split())
    assert list(tmp_path.iterdir()) == []


def test_without_matplotlib_the_extra_is_named_before_the_work(
    small_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: Callable[..., str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    words = ["train", "--config", str(small_config), "--find-rate", "--out", str(tmp_path / "rate")]
    assert refused(*words).startswith("m3att train --find-rate needs matplotlib: pip install 'm3att[report]'")
    assert not (tmp_path / "rate").exists()
