"""A run's folder: what is in it, and that one process at a time works there."""

from __future__ import annotations

import errno
import json
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from m3att.engine.run_folder import RunFolder
from m3att.errors import ConfigError, DataError

# Holds a folder, says so, and waits for a line on its standard input; a child that was forked before lives a while.
HOLDER = """
import os, sys, time
from pathlib import Path
from m3att.engine.run_folder import RunFolder
with RunFolder(Path(sys.argv[1])).held():
    if os.fork() == 0:
        os.close(1)
        time.sleep(60)
        os._exit(0)
    print("held", flush=True)
    sys.stdin.readline()
"""


def holder(folder: Path) -> subprocess.Popen[str]:
    """Another process that holds a folder."""
    command = [sys.executable, "-c", HOLDER, str(folder)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_folder_is_held_by_one_process_and_free_once_that_is_done(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    with holder(folder.path) as process:
        (folder.path / "file").touch()
        before = sorted(folder.path.iterdir())
        who = rf"\(process {process.pid} on {re.escape(socket.gethostname())}\)"
        with pytest.raises(ConfigError, match=rf"run: another process trains this run {who}: wait for"):  # noqa: SIM117
            with folder.held():
                pytest.fail("it was let in")
        assert sorted(folder.path.iterdir()) == before
        process.communicate("\n")
    with folder.held():
        assert folder.lock.exists()
    assert [path.name for path in folder.path.iterdir()] == ["file"]


def test_a_dead_process_holds_nothing_though_a_child_outlives_it(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    process = holder(tmp_path)
    process.kill()
    process.wait()
    with folder.held():
        pass


def test_the_same_process_cannot_hold_a_folder_twice(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "link").symlink_to("run")
    with RunFolder(tmp_path / "run").held():
        for name in ("run", "link", "other/../run"):
            with pytest.raises(ConfigError, match="another process trains this run"), RunFolder(tmp_path / name).held():
                pytest.fail("it was let in")
        with RunFolder(tmp_path / "other").held():
            pass
    with RunFolder(tmp_path / "run").held():
        pass


@pytest.fixture
def no_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without locks."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("m3att.engine.run_lock.fcntl.lockf", refuse)


@pytest.mark.usefixtures("no_locks")
@pytest.mark.parametrize(
    ("host", "pid", "age", "alive"),
    [
        ("elsewhere", 1, 60, True),
        ("elsewhere", 1, 400, False),  # it has given no sign of life
        (socket.gethostname(), os.getppid(), 60, True),
        (socket.gethostname(), 2**22 + 1, 1, False),  # there is no such process
        (socket.gethostname(), os.getpid(), 1, False),  # an earlier process had our number
        (None, None, 1, False),
    ],
    ids=["elsewhere", "elsewhere, silent", "our parent", "ended", "our number", "nobody"],  # the same in all workers
)
def test_without_locks_a_holder_counts_while_it_shows_signs_of_life(
    tmp_path: Path, host: str | None, pid: int | None, age: float, alive: bool
) -> None:
    folder = RunFolder(tmp_path)
    folder.lock.write_text("" if host is None else json.dumps({"host": host, "pid": pid}))
    os.utime(folder.lock, (time.time() - age, time.time() - age))
    if alive:
        with pytest.raises(ConfigError, match=rf"\(process {pid} on {re.escape(str(host))}\)"), folder.held():
            pytest.fail("it was let in")
        assert json.loads(folder.lock.read_text()) == {"host": host, "pid": pid}
    else:
        with folder.held():
            assert json.loads(folder.lock.read_text()) == {"host": socket.gethostname(), "pid": os.getpid()}
        assert not folder.lock.exists()


@pytest.mark.usefixtures("no_locks")
def test_without_locks_the_holder_gives_signs_of_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("m3att.engine.run_lock.BEAT", 0.01)
    folder = RunFolder(tmp_path)
    with folder.held():
        os.utime(folder.lock, (1, 1))
        until = time.monotonic() + 20
        while folder.lock.stat().st_mtime < 2 and time.monotonic() < until:
            time.sleep(0.01)
        assert time.time() - folder.lock.stat().st_mtime < 60


def test_a_folder_that_was_made_for_nothing_goes_again(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "a" / "b").held():
        pass
    assert not list(tmp_path.iterdir())
    (tmp_path / "a").mkdir()
    with RunFolder(tmp_path / "a" / "b" / "c").held():
        (tmp_path / "a" / "b" / "kept").touch()
    assert [path.name for path in (tmp_path / "a").rglob("*")] == ["b", "kept"]
    with pytest.raises(KeyError), RunFolder(tmp_path / "d").held():
        raise KeyError
    assert not (tmp_path / "d").exists()


def test_what_a_folder_is(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert not folder.is_run and not folder.can_resume and folder.known_faults() == []
    folder.config.write_text("train: {steps: 3}")
    folder.faults.write_text('{"left_out": "a.jpg: gone"}\n')
    folder.metrics.write_text('{"step": 1}\n{"step": 2}\n')
    assert folder.is_run and not folder.can_resume
    assert folder.read_config().train.steps == 3
    assert folder.known_faults() == ["a.jpg: gone"] and folder.last_metrics() == {"step": 2}
    folder.checkpoint.touch()
    assert folder.can_resume


def test_asking_a_folder_loads_no_network_library() -> None:
    script = "import sys, m3att.engine.run_folder; print('torch' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"


def test_lines_are_read_and_a_half_written_last_one_is_left_out(tmp_path: Path) -> None:
    folder, lines = RunFolder(tmp_path), [{"step": 1, "loss/mask": 0.5}, {"step": 2, "val/mean_iou": 0.25}]
    assert folder.read_metrics() == [] and folder.last_metrics() == {}
    folder.metrics.write_text("\n".join([*map(json.dumps, lines), '{"step": 4, "lo']))
    assert folder.read_metrics() == lines and folder.last_metrics() == lines[-1]
    folder.metrics.write_text('{"step": 1}\nnothing\n{"step": 2}\n')
    with pytest.raises(DataError, match=r"metrics\.jsonl, line 2: not what a training logs"):
        folder.read_metrics()
