"""`m3att train --dry-run` and `m3att presets` as they are typed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from m3att.app.cli import main
from m3att.presets import PRESETS

from ..data.own_files import square, write_lines, write_picture


def shape(line: str) -> str:
    """A line of a dry run without its numbers and names."""
    line = re.sub(r"^the run: .*", "the run: ...", re.sub(r" +", " ", line))
    return re.sub(r"\d[\d.,]*(e-\d+)?( [kMG](iB)?\b)?|\S+(?= \((fresh|\d))|letterbox|stretch", "#", line)


def test_a_dry_run_shows_costs_and_one_step_and_writes_only_what_it_is_asked_for(
    small_config: Path, tmp_path: Path, repository: Path
) -> None:
    """The page shows one of another preset, in the same words."""
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    words = ["train", "--config", str(small_config), "--dry-run", "--json", str(there / "costs.json")]
    done = subprocess.run([sys.executable, "-m", "m3att", *words], cwd=here, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert list(here.iterdir()) == []
    assert [path.name for path in there.iterdir()] == ["costs.json"]
    found = json.loads((there / "costs.json").read_text("utf-8"))
    lines = done.stdout.splitlines()
    assert lines[0].startswith("tiny (fresh) and birnn (fresh); input 32 x 32, stretch; 15 words; vocabulary ")
    assert lines[1].startswith("note: train.warmup 200 is not over when the run ends")
    assert lines[2].split()[:3] == ["part", "trainable", "frozen"]
    assert [part["name"] for part in found["parts"]] == [line.split("  ")[0] for line in lines[3:-6]]
    assert "the run: 4 steps" in lines
    assert lines[-1].startswith("one step on 8 expressions of ")
    assert f"loss {found['step']['losses']['total']:.4f} (mask " in lines[-1]
    page = (repository / "docs" / "runs.md").read_text("utf-8")
    shown = page[page.index("    darknet53 (fresh)") :].partition("\n\n")[0].splitlines()
    shown = [line.removeprefix("    ") for line in shown if not line.startswith("    note: ")]
    printed = [line for line in lines if not line.startswith("note: ")]
    rows = [[line.split("  ")[0] for line in some[1:-5]] for some in (shown, printed)]
    assert [name for name in rows[0] if name != "IMI"] == rows[1]  # one layer has no interactions
    assert [shape(line) for line in (shown[0], *shown[-5:])] == [shape(line) for line in (printed[0], *printed[-5:])]


def test_the_step_is_the_first_one_of_the_run(small_config: Path, small_run: Path, tmp_path: Path) -> None:
    assert main(["train", "--config", str(small_config), "--dry-run", "--json", str(tmp_path / "costs.json")]) == 0
    step = json.loads((tmp_path / "costs.json").read_text("utf-8"))["step"]
    first = json.loads((small_run / "metrics.jsonl").read_text("utf-8").splitlines()[0])
    assert first["step"] == 1
    assert step["losses"] == pytest.approx({name: first[f"loss/{name}"] for name in step["losses"]}, rel=1e-4)
    assert (step["expressions"], step["learning_rate"]) == (first["expressions"], first["learning_rate"])


def test_the_step_is_on_what_the_run_trains_on(small_config: Path, shaperef: Path, tmp_path: Path) -> None:
    """Not on images that the run holds out to validate on, and on those of `data.beside` too."""
    lines = []
    for number in range(3):
        write_picture(tmp_path / f"{number}.png", 50 + number)
        lines.append({"image": f"{number}.png", "expression": f"thing {number}", "mask": square(2)})
    path = write_lines(tmp_path / "own.jsonl", lines)
    words = ["train", "--config", str(small_config), "--dry-run", "--json", str(tmp_path / "costs.json")]
    words += ["--data.root", str(path), "--data.dataset", "jsonl", "--train.batch_size", "64"]
    for more, images in (([], 2), (["--data.beside", f"[{shaperef / 'shaperef'}]"], None)):
        assert main([*words, "--data.held_out", "0.34", *more]) == 0
        step = json.loads((tmp_path / "costs.json").read_text("utf-8"))["step"]
        assert step["images"] == images if images else step["images"] > 2


def test_what_the_step_differs_in_is_said(small_config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--data.dataset", "refcoco+", "--data.root", "null", "--model.language.freeze", "true"]
    assert main(["train", "--config", str(small_config), "--dry-run", "--train.threads", "1", *words]) == 0
    notes = [line for line in capsys.readouterr().out.splitlines() if line.startswith("note: ")]
    assert "in place of refcoco+" in notes[0]
    assert notes[1] == "note: the language encoder is fresh: the run itself wants --model.language.weights"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--preset shaperef-tiny --dry-run --resume", "--dry-run starts a run anew: leave out --resume"),
        (
            "--preset shaperef-tiny --out run --json a.json",
            "--json says what --dry-run or --overfit-one-batch found: give it",
        ),
        ("--dry-run", "what to train? give --preset NAME"),
        ("--preset refcoco-swin --dry-run", "no preset 'refcoco-swin', did you mean refcoco-swin-b?"),
        ("--preset refcoco-darknet53 --dry-run --data.root nowhere", "nowhere/refcoco/"),
    ],
)
def test_misuse_is_answered_in_one_line(
    line: str, message: str, refused: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in refused("train", *line.split())
    assert list(tmp_path.iterdir()) == []


def test_presets_are_listed_and_described(capsys: pytest.CaptureFixture[str], refused: Callable[..., str]) -> None:
    assert main(["presets"]) == 0
    listed = capsys.readouterr().out.splitlines()
    names = [line.split()[0] for line in listed[1:-1] if not line.startswith(" ")]
    assert names == list(PRESETS)
    assert main(["presets", "refcoco-swin-b"]) == 0
    assert capsys.readouterr().out == PRESETS["refcoco-swin-b"].description + "\n"
    assert "no preset 'swin'" in refused("presets", "swin")


def test_a_training_says_that_its_encoders_start_fresh(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("m3att.engine.train.train", lambda *_: tmp_path / "last")
    assert main(["train", "--preset", "refcoco-swin-b", "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().err.splitlines() == [
        "note: the vision encoder starts fresh: no --model.vision.weights",
        "note: the language encoder starts fresh: no --model.language.weights",
    ]
    words = ["--preset", "refcoco-darknet53", "--model.vision.freeze", "false", "--out", str(tmp_path)]
    assert main(["train", *words]) == 0
    assert capsys.readouterr().err.splitlines() == ["note: the vision encoder starts fresh: no --model.vision.weights"]


def test_a_preset_with_a_frozen_encoder_says_which_weights_it_lacks(
    tmp_path: Path, refused: Callable[..., str]
) -> None:
    message = refused("train", "--preset", "refcoco-darknet53", "--out", str(tmp_path / "run"))
    assert "model.vision.freeze: darknet53 has nothing pretrained to keep; give --model.vision.weights" in message
    words = ["--preset", "refcoco-darknet53", "--model.vision.freeze", "false", "--model.vision.freeze_layers", "2"]
    message = refused("train", *words, "--out", str(tmp_path / "run"))
    assert message.endswith("or --model.vision.freeze_layers 0"), message
    assert not (tmp_path / "run").exists()


def test_train_help_names_the_list_of_presets(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--help"]) == 0
    assert "`m3att presets` lists" in " ".join(capsys.readouterr().out.split())
