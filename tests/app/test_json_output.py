"""`--json -`: standard output has the JSON and nothing else, whichever command writes it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from m3att.app import cli
from m3att.app.cli import main
from m3att.app.console import write_json

# For each command with --json the words that it needs, and a key of what it finds.
CASES = {
    "predict": ("{photo} 'the car' --model {model} --out out", "images"),
    "data check": ("{root} --dataset shaperef", "splits"),
    "train": ("--config {config} --dry-run", "memory"),
    "finetune": (
        "{own} --from {model} --out run --train.steps 1 --train.batch_size 2 --train.validate_every 1 "
        "--train.workers 0 --train.threads 1",
        "after",
    ),
    "runs": ("{run}", "runs"),
    "evaluate": ("--model {model} --data.images 1", "mean_iou"),
    "bench data": ("{root} --dataset shaperef --size 32 --workers 0 --images 2", "opening"),
    "bench train": ("--config {config} --steps 2 --batch-sizes", "overhead"),
    "bench speed": ("{model} --expressions 1 --rounds 1", "cpu"),
}
MORE = {"train": ("--config {config} --overfit-one-batch --train.steps 2", "losses")}


@pytest.fixture
def places(small_run: Path, small_config: Path, shaperef: Path, tmp_path: Path) -> dict[str, Path]:
    """What the words of the cases name."""
    lines = []
    for number, split in enumerate(("train", "train", "val")):
        Image.fromarray(np.full((32, 48, 3), 40 * number, np.uint8)).save(tmp_path / f"{number}.png")
        record = {"image": f"{number}.png", "expression": "the car", "mask": [4, 4, 20, 4, 20, 20], "split": split}
        lines.append(json.dumps(record) + "\n")
    (tmp_path / "own.jsonl").write_text("".join(lines))
    places = {"photo": tmp_path / "0.png", "own": tmp_path / "own.jsonl", "root": shaperef, "config": small_config}
    return places | {"run": small_run, "model": small_run / "last"}


def test_every_command_with_json_has_a_case(capsys: pytest.CaptureFixture[str]) -> None:
    found = set()
    for name in cli.COMMANDS:
        assert main([*name.split(), "--help"]) == 0
        text = " ".join(capsys.readouterr().out.split())
        if "--json FILE" in text:
            found.add(name)
            assert "- stands for standard output" in text, name
    assert found == set(CASES)


@pytest.mark.parametrize(("name", "line", "key"), [(name, *case) for name, case in [*CASES.items(), *MORE.items()]])
def test_standard_output_is_json_and_nothing_else(
    name: str,
    line: str,
    key: str,
    places: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """What other processes of the command print is looked at too."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    words = [*name.split(), *shlex.split(line.format(**{key: shlex.quote(str(path)) for key, path in places.items()}))]
    capfd.readouterr()
    code = main([*words[: len(name.split())], "--json", "-", *words[len(name.split()) :]])
    out, err = capfd.readouterr()
    assert code in (0, 1), err
    assert key in json.loads(out)
    assert err and not Path("-").exists()


@pytest.mark.parametrize("name", CASES)
def test_a_file_that_cannot_be_written_is_said_before_the_work(
    name: str, places: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: Callable[..., str]
) -> None:
    monkeypatch.chdir(tmp_path)
    line = CASES[name][0].format(**{key: shlex.quote(str(path)) for key, path in places.items()})
    words = [*name.split(), "--json", str(tmp_path / "own.jsonl" / "found.json"), *shlex.split(line)]
    assert refused(*words) == f"{tmp_path / 'own.jsonl'}: cannot be written (Not a directory); give another --json"
    assert not Path("out").exists() and not Path("run").exists()


def test_the_last_values_are_printed_also_where_the_command_fails_later(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """`m3att evaluate --calibrate` writes its figures, and once more with the calibration."""

    def run(words: Sequence[str], prog: str) -> int:
        print("a table")
        write_json(Path(words[1] if words[0] == "--json" else words[0].partition("=")[2]), {"found": 1})
        write_json(Path("-"), {"found": 2})
        raise cli.ConfigError("not a folder")

    monkeypatch.setitem(cli.COMMANDS, "models", cli.Command(run, ""))
    monkeypatch.chdir(tmp_path)
    for words in (["--json", "-"], ["--json=-"]):
        assert main(["models", *words]) == 2
        out, err = capsys.readouterr()
        assert (json.loads(out), err) == ({"found": 2}, "a table\nm3att: error: not a folder\n")
        assert not Path("-").exists()
    for words in (["--json", "./-"], ["--json", "a", "--", "--json", "-"]):  # a file may have this name
        assert main(["models", *words]) == 2
        assert capsys.readouterr().out == "a table\n" and json.loads(Path("-").read_text()) == {"found": 2}


@pytest.mark.parametrize("option", ["answers", "gallery"])
def test_other_files_cannot_be_standard_output(
    option: str, places: dict[str, Path], refused: Callable[..., str]
) -> None:
    words = ["evaluate", "--model", str(places["model"]), f"--{option}", "-"]
    message = refused(*words)
    assert f"--{option} -: " in message
