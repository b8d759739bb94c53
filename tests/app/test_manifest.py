"""`m3att predict --manifest` as a command."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from PIL import Image

from m3att.app import manifest as command
from m3att.app.cli import main
from m3att.app.manifest import progress_lines, read_shard
from m3att.errors import ConfigError

MAN, DOG = "the man in red", "the dog that is not black"


@pytest.fixture
def line(tmp_path: Path, tiny_model_folder: Path) -> list[str]:
    """The command, without a shard."""
    for name in "abcd":
        Image.effect_noise((24, 18), 60).convert("RGB").save(tmp_path / f"{name}.png")
    rows = [{"image": f"{name}.png", "expressions": [MAN, DOG]} for name in "abcd"]
    (tmp_path / "m.jsonl").write_text("\n".join(map(json.dumps, rows)))
    options = ["--model", str(tiny_model_folder), "--device", "cpu", "--lines-a-part", "1"]
    return ["predict", "--manifest", str(tmp_path / "m.jsonl"), "--out", str(tmp_path / "out"), *options]


def test_the_last_shard_writes_the_results(line: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*line, "--shard", "1/2"]) == 0
    assert "2 of 4 parts are missing" in capsys.readouterr().out
    assert not (tmp_path / "out" / "predictions.jsonl").exists()
    assert main([*line, "--shard", "2/2"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith("out/predictions.jsonl")
    rows = [json.loads(row) for row in (tmp_path / "out" / "predictions.jsonl").read_text().splitlines()]
    assert [(row["image"], row["expression"]) for row in rows] == [
        (f"{name}.png", text) for name in "abcd" for text in (MAN, DOG)
    ]
    assert (tmp_path / "out" / "errors.jsonl").read_text() == ""
    # All is done: the same command in another format only writes that.
    assert main([*line, "--format", "coco"]) == 0
    assert len(json.loads((tmp_path / "out" / "predictions.json").read_text())["annotations"]) == 8
    with pytest.raises(ConfigError, match="--threshold"):
        command.run_manifest(
            command.Options(tmp_path / "m.jsonl", tmp_path / "out", line[6], threshold=0.9, lines_a_part=1)
        )


def test_bad_lines_are_told_by_the_exit_code(line: list[str], tmp_path: Path) -> None:
    (tmp_path / "a.png").unlink()
    assert main(line) == 1
    (error,) = (tmp_path / "out" / "errors.jsonl").read_text().splitlines()
    assert json.loads(error)["line"] == 1


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--shard", "0/4"], "--shard 0/4: give I/N"),
        (["--shard", "5/4"], "--shard 5/4"),
        (["--shard", "1"], "--shard 1:"),
        (["--threshold", "1"], "--threshold 1.0"),
        (["--batch-size", "0"], "--batch-size 0"),
        (["--lines-a-part", "-1"], "--lines-a-part -1"),
        (["park.jpg"], "images and expressions in the manifest"),
        (["--json", "x.json"], "--json cannot be used with --manifest"),
    ],
)
def test_wrong_options_are_one_line(
    line: list[str], extra: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*line, *extra]) == 2
    (error,) = capsys.readouterr().err.splitlines()
    assert message in error


def test_options_of_batch_jobs_need_a_manifest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", "a.png", "the cup", "--out", "o", "--batch-size", "4"]) == 2
    assert "--batch-size needs --manifest" in capsys.readouterr().err


def test_parquet_is_refused_before_the_work(
    line: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert main([*line, "--format", "parquet"]) == 2
    assert "m3att[tables]" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_shards_count_from_one() -> None:
    assert read_shard("1/1") == (1, 1) and read_shard("16/16") == (16, 16)


def test_progress_is_told_to_logs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(command, "SECONDS_A_LINE", 0.0)
    with progress_lines("shard 1/2") as progress:
        progress(10, 40)
        progress(20, 40)
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("m3att: shard 1/2: 10 of 40 lines, 0.0 a second")
    assert "20 of 40 lines" in second and "minutes left" in second


def test_an_interrupted_job_says_how_to_go_on(
    line: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "run_shard", interrupt)
    assert main(line) == 130
    assert "give the same command again" in capsys.readouterr().err
