"""Runs in folders: found, described by what they left, and compared."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from m3att.config import RunConfig
from m3att.engine.checkpoint import read_header
from m3att.engine.position import Position, position_of
from m3att.engine.run_folder import RunFolder
from m3att.engine.run_lock import is_held
from m3att.engine.runs import FINISHED, NEW, RUNNING, STOPPED, UNREADABLE, changed_settings, find_runs, read_run
from m3att.engine.train import train
from m3att.errors import ConfigError
from m3att.files import replace_tensors
from m3att.presets import PRESETS
from m3att.settings import config_to_yaml


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that looks like that of a run that has ended, without the training."""
    path = tmp_path_factory.mktemp("runs") / "done"
    make_run(path, RunConfig(), Position(step=8, steps=8, best_mean_iou=0.5, seconds=3.0))
    return path


def make_run(path: Path, config: RunConfig, position: Position | None, lines: str = "") -> RunFolder:
    folder = RunFolder(path)
    path.mkdir(parents=True)
    folder.config.write_text(config_to_yaml(config))
    folder.tokenizer.write_text("{}")
    step = position.step if position else 1
    entry = {"step": step, "seconds": 3.0, "loss/total": 0.25, "val/mean_iou": 0.4, "agreement": 0.4}
    folder.metrics.write_text(lines or json.dumps(entry) + "\n")
    if position is not None:
        metadata = {"format": "3", "position": json.dumps(vars(position)), "sha256": ""}
        replace_tensors(folder.checkpoint, {"a": torch.zeros(2)}, metadata)
    return folder


def test_a_real_run_is_described(tiny_run: RunConfig, refer_folder: Path, tmp_path: Path) -> None:
    data = replace(tiny_run.data, root=str(refer_folder))
    config = replace(tiny_run, data=data, train=replace(tiny_run.train, steps=None, epochs=1.0, batch_size=16))
    train(config, tmp_path / "one")
    (run,) = find_runs([tmp_path])
    position, _ = read_header(RunFolder(run.path).checkpoint)
    assert position_of(RunFolder(run.path).checkpoint) == position
    assert (run.state, run.step, run.steps) == (FINISHED, position.step, position.step)
    assert run.best == position.best_mean_iou and run.loss is not None and run.scores
    assert run.to_dict()["dataset"] == "shaperef" and json.dumps(run.to_dict())


@pytest.mark.parametrize(
    ("changes", "position", "state", "steps"),
    [
        ({"steps": 8}, Position(step=8), FINISHED, 8),
        ({"steps": 9}, Position(step=8), STOPPED, 9),
        ({"steps": None}, Position(step=8, steps=8), FINISHED, 8),
        ({"steps": None}, Position(step=8), STOPPED, None),  # of an older m3att
        ({"steps": 9, "patience": 2}, Position(step=8, stale=2), FINISHED, 9),
        ({"steps": 9}, None, NEW, 9),
    ],
)
def test_states(
    tmp_path: Path, changes: dict[str, int], position: Position | None, state: str, steps: int | None
) -> None:
    config = replace(RunConfig(), train=replace(RunConfig().train, **changes))  # type: ignore[arg-type]
    run = read_run(make_run(tmp_path / "a", config, position).path)
    assert (run.state, run.steps) == (state, steps)


def test_a_run_that_a_process_holds_is_running_and_asking_does_not_disturb_it(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "a", RunConfig(), Position(step=1))
    script = f"""
from pathlib import Path
from m3att.engine.run_folder import RunFolder
with RunFolder(Path({str(folder.path)!r})).held():
    print("held", flush=True)
    input()
    print("left", flush=True)
"""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", script], **pipes) as child:  # type: ignore[call-overload]
        assert child.stdout.readline() == "held\n"
        assert read_run(folder.path).state == RUNNING and is_held(folder.lock)
        with pytest.raises(ConfigError, match="another process trains this run"), folder.held():
            pytest.fail("it was let in")
        child.kill()
    assert folder.lock.exists() and not is_held(folder.lock)
    assert read_run(folder.path).state == STOPPED
    with folder.held():
        assert is_held(folder.lock) and read_run(folder.path).state == RUNNING
    assert not is_held(folder.lock)


def test_a_lock_of_a_number_that_another_process_has_now_is_not_held(tmp_path: Path) -> None:
    import socket

    lock = tmp_path / ".lock"
    lock.write_text(json.dumps({"host": socket.gethostname(), "pid": os.getppid()}))
    assert not is_held(lock)
    lock.write_text(json.dumps({"host": "elsewhere", "pid": 1}))
    assert not is_held(lock)


def test_runs_are_found_below_a_folder_and_each_once(finished: Path, tmp_path: Path) -> None:
    for name in ("b", "a", "a/earlier/first", "a/best"):
        shutil.copytree(finished, tmp_path / name, dirs_exist_ok=True)
    (tmp_path / "only-config").mkdir()
    (tmp_path / "only-config" / "config.yaml").write_text("{}")
    found = [run.path.relative_to(tmp_path).as_posix() for run in find_runs([tmp_path, tmp_path / "b"])]
    assert found == ["a", "a/earlier/first", "b"]
    with pytest.raises(ConfigError, match="no such folder"):
        find_runs([tmp_path / "nowhere"])


def test_a_run_with_broken_settings_is_in_the_list(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "a")
    (tmp_path / "a" / "config.yaml").write_text("train: {no_such: 1}")
    (run,) = find_runs([tmp_path])
    assert run.state == UNREADABLE and "no_such" in run.fault and run.preset() is None


def test_a_run_with_a_broken_log_is_in_the_list(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "a")
    (tmp_path / "a" / "metrics.jsonl").write_text('{"step": 1}\nnonsense\n{"step": 2}\n')
    (run,) = find_runs([tmp_path])
    assert run.state == UNREADABLE and "metrics.jsonl, line 2: not what a training logs" in run.fault


@pytest.mark.parametrize("vanishing", ["a", "a/metrics.jsonl", "a/.lock"])
@pytest.mark.parametrize("locks", [True, False], ids=["locks", "no locks"])
def test_a_run_may_vanish_at_any_moment_while_the_list_is_read(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vanishing: str, locks: bool
) -> None:
    """Somebody removes the run, or starts it anew, before one of the calls that look at a file or open it."""
    moments, calls = 0, 0

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **options: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == moments:
                gone = tmp_path / vanishing
                shutil.rmtree(gone) if gone.is_dir() else gone.unlink(missing_ok=True)
            return function(*given, **options)

        return call

    if not locks:
        monkeypatch.setattr("m3att.engine.run_lock.try_lock", lambda file: None)
    while calls >= moments:
        moments, calls = moments + 1, 0
        shutil.copytree(finished, tmp_path / "a", dirs_exist_ok=True)
        (tmp_path / "a" / ".lock").write_text('{"host": "elsewhere", "pid": 1}')
        with monkeypatch.context() as patch:
            patch.setattr(os, "stat", counted(os.stat))
            patch.setattr(io, "open", counted(io.open))
            found = find_runs([tmp_path])
        assert [run.path.name for run in found] in (["a"], [])
        assert all(json.dumps(run.to_dict()) for run in found)
    assert moments > 5


@pytest.mark.parametrize("content", [b"", b"\xff" * 40, b"\x02\0\0\0\0\0\0\0{}", b"\x05\0\0\0\0\0\0\0{}"])
def test_a_damaged_checkpoint_has_no_position(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "c").write_bytes(content)
    assert position_of(tmp_path / "c") is None and position_of(tmp_path / "none") is None


def test_the_nearest_preset_and_what_differs(tmp_path: Path) -> None:
    base = PRESETS["shaperef-tiny-hour"].config
    other = replace(base, train=replace(base.train, learning_rate=0.001, device="cpu", threads=1))
    one, two = (read_run(make_run(tmp_path / name, config, None).path) for name, config in (("a", base), ("b", other)))
    assert one.preset() == ("shaperef-tiny-hour", 0) and two.preset() == ("shaperef-tiny-hour", 1)
    rate = base.train.learning_rate
    assert changed_settings([one, two]) == {"train.learning_rate": [rate, 0.001]}
    assert changed_settings([one, one]) == {}


def test_the_best_score_counts_what_was_logged_after_the_checkpoint(tmp_path: Path) -> None:
    lines = '{"step": 1, "agreement": 0.3}\n{"step": 2, "agreement": 0.6}\n{"step": 3, "val/mean'
    run = read_run(make_run(tmp_path / "a", RunConfig(), Position(step=1, best_mean_iou=0.3), lines).path)
    assert run.best == 0.6 and run.step == 2 and run.loss is None


def test_asking_loads_no_network_library() -> None:
    script = "import sys, m3att.engine.runs, m3att.app.runs; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
