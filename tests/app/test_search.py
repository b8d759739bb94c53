"""`m3att search` as it is typed."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from m3att.app.cli import main
from m3att.app.search import check_search, idle_in_every_trial, tell
from m3att.config import RunConfig
from m3att.errors import ConfigError
from m3att.presets import find_preset
from m3att.settings import config_from_file

pytest.importorskip("optuna")


def test_a_search_writes_the_best_settings_and_goes_on(
    small_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], refused: Callable[..., str]
) -> None:
    out = tmp_path / "search"
    words = ["search", "--config", str(small_config), "--out", str(out), "--train.steps", "1", "--train.trackers", "[]"]
    words += ["--set", "train.learning_rate=log:1e-4:1e-2"]
    assert main([*words, "--trials", "1"]) == 0
    assert main([*words, "--trials", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-4].split() == ["trial", "mean", "IoU", "state", "train.learning_rate"]
    assert lines[-1].startswith(f"best settings: {out / 'best.yaml'}; train with them: m3att train --config ")
    found = json.loads((out / "trials.json").read_text("utf-8"))["trials"]
    assert {row["folder"] for row in found} == {"trial-0000", "trial-0001"}
    best = config_from_file(out / "best.yaml")
    assert best.train.learning_rate == found[0]["settings"]["train.learning_rate"] and best.train.steps == 1
    other = [word.replace("1e-2", "1e-1") for word in words]
    assert "searches train.learning_rate=log:1e-4:1e-2, not train.learning_rate=log:1e-4:1e-1" in refused(*other)
    assert "was made with train.clip 1.0, not 2.0" in refused(*words, "--train.clip", "2")
    shutil.copytree(out, tmp_path / "damaged")
    words[words.index(str(out))] = str(tmp_path / "damaged")
    (tmp_path / "damaged" / "study.db").write_bytes(b"nothing")
    assert "study.db: file is not a database; make room or restore it, or give another --out" in refused(*words)
    (tmp_path / "damaged" / "study.db").unlink()
    assert "trial-0000: study.db does not know this trial" in refused(*words)
    (tmp_path / "damaged" / "search.json").write_text('{"set')
    assert "search.json: damaged; give another --out" in refused(*words)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 75), (signal.SIGINT, 130)])
def test_the_advice_of_a_stopped_search_is_the_same_command_for_the_shell(
    small_config: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    code: int,
) -> None:
    """Names with a space, and values with brackets, reach the command as they were given when the line is pasted."""
    monkeypatch.setattr("m3att.engine.search.Search.run", lambda *_: os.kill(os.getpid(), number))
    config = tmp_path / "my settings.yaml"
    shutil.copy(small_config, config)
    words = ["search", "--config", str(config), "--out", str(tmp_path / "it's a search"), "--train.trackers", "[]"]
    words += ["--set", "train.learning_rate=log:1e-4:1e-2"]
    assert main(words) == code
    advice = capsys.readouterr().err.splitlines()[-1].partition("; go on with: ")[2]
    assert shlex.split(advice) == ["m3att", *words]
    assert "'[]'" in advice  # a shell would look for a file with such a name


def test_the_command_of_the_best_settings_is_quoted_for_the_shell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = SimpleNamespace(spaces=[], rows=list, best=lambda: (0, RunConfig()))
    out = tmp_path / "it's a search"
    assert tell(out, found) == 0
    command = capsys.readouterr().out.splitlines()[-1].partition("; train with them: ")[2]
    assert shlex.split(command) == ["m3att", "train", "--config", str(out / "best.yaml"), "--out", str(out / "final")]


def test_a_folder_whose_first_files_were_half_written_is_taken_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill(*_: object) -> None:
        raise KeyboardInterrupt

    base, texts = find_preset("shaperef-tiny-hour").config, ["train.clip=1:2"]
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("m3att.app.search.config_to_yaml", kill)
        check_search(tmp_path, base, texts)
    check_search(tmp_path, base, texts)
    assert config_from_file(tmp_path / "config.yaml") == base
    (tmp_path / "search.json").unlink()
    with pytest.raises(ConfigError, match="holds a run or something else"):
        check_search(tmp_path, base, texts)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--preset shaperef-tiny-hour --set train.clip=1:2", "--out is missing"),
        ("--preset shaperef-tiny-hour --out o", "--set is missing"),
        ("--preset shaperef-tiny-hour --out o --set train.clip=1:2 --trials 0", "--trials: 0 is out of range"),
        (
            "--preset shaperef-tiny-hour --out o --set train.clip=1:2 --pruner best",
            "'best' does not fit, give median or none",
        ),
        ("--preset shaperef-tiny-hour --out o --set train.clip=1:2 --set train.clip=1,2", "give each setting once"),
        ("--preset shaperef-tiny --out o --set train.clip=1:2", "is trained first by m3att train alone"),
        ("--out o --set train.clip=1:2", "what to train?"),
    ],
)
def test_misuse_is_answered_in_one_line(
    line: str, message: str, refused: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in refused("search", *line.split())
    assert list(tmp_path.iterdir()) == []


FALL = "train.fall=0.1:0.5"
IDLE_FALL = "train.fall has no effect in any trial: train.schedule is step"


@pytest.mark.parametrize(
    ("texts", "given", "lines"),
    [
        ([FALL], set(), [IDLE_FALL]),
        ([FALL, "train.schedule=step,trapezoid"], set(), []),  # some trials use it
        (
            [FALL, "train.schedule=step,cosine"],
            set(),
            [f"{IDLE_FALL} or train.schedule is cosine"],
        ),
        (["train.seed=0,1"], {"train.fall"}, [IDLE_FALL]),
        (["train.schedule=step,trapezoid"], {"train.fall"}, []),
        (["train.learning_rate=log:1e-4:1e-2"], set(), []),
        (["model.channels=64,66", FALL], set(), [IDLE_FALL]),  # 66 is refused, and says nothing about the others
    ],
)
def test_settings_that_no_trial_uses_are_named(texts: list[str], given: set[str], lines: list[str]) -> None:
    assert idle_in_every_trial(RunConfig(), texts, given) == lines


def test_the_note_is_said_before_the_trials(
    small_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "search").write_text("a file in the place of the folder")
    words = ["search", "--config", str(small_config), "--out", str(tmp_path / "search"), "--set"]
    assert main([*words, "model.mask.skip_channels=4:8"]) == 2
    note, error = capsys.readouterr().err.splitlines()
    assert note == "note: model.mask.skip_channels has no effect in any trial: model.mask.skip_strides is empty"
    assert error.startswith("m3att: error: ")


def test_a_missing_optuna_is_named(monkeypatch: pytest.MonkeyPatch, refused: Callable[..., str]) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    words = ["search", "--preset", "shaperef-tiny-hour", "--out", "o", "--set", "train.clip=1:2"]
    assert refused(*words) == "m3att search needs optuna: pip install 'm3att[search]'"
