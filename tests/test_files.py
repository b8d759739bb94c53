"""Files are written whole, may be read by whom the umask says, and leave nothing of an attempt that failed."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from m3att import files
from m3att.errors import ModelError
from m3att.files import FORGOTTEN, is_stream, replace_file, replace_tensors, replacing, unfinished, unfinished_folder

TENSORS = {"weight": torch.arange(12.0).reshape(3, 4)}


@pytest.fixture(params=[0o022, 0o027, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_files_are_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    replace_file(path, b"old")
    replace_file(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_the_umask_says_who_may_read(tmp_path: Path, umask: int) -> None:
    replace_file(tmp_path / "text", b"new")
    replace_tensors(tmp_path / "weights", TENSORS)
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask, path


def test_through_a_link_the_file_behind_it_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    behind = tmp_path / "store" / "weights"
    link = tmp_path / "weights"
    link.symlink_to(behind)
    replace_tensors(link, TENSORS)
    replace_file(link, behind.read_bytes())
    assert link.is_symlink()
    assert torch.equal(load_file(behind)["weight"], TENSORS["weight"])
    assert {path.name for path in tmp_path.rglob("*")} == {"store", "weights"}


@pytest.mark.skipif(os.name != "posix", reason="pipes with names")
def test_a_pipe_is_written_to_and_stays(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    replace_file(pipe, b"new")
    assert os.read(reader, 9) == b"new"
    os.close(reader)
    assert is_stream(pipe) and list(tmp_path.iterdir()) == [pipe]


@pytest.mark.skipif(os.name != "posix", reason="open files with names")
def test_an_open_file_is_continued(tmp_path: Path) -> None:
    script = "import os; from pathlib import Path; from m3att.files import replace_file; os.write(1, b'a')\n"
    script += "replace_file(Path('/dev/stdout'), b'b'); replace_file(Path('/dev/fd/1'), b'c'); os.write(1, b'd')"
    with (tmp_path / "log").open("wb") as log:
        log.write(b"before ")
        log.flush()
        subprocess.run([sys.executable, "-c", script], stdout=log, check=True)
    assert (tmp_path / "log").read_bytes() == b"before abcd"
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def test_nothing_stays_of_an_attempt_that_failed(tmp_path: Path) -> None:
    path = tmp_path / "file"
    replace_file(path, b"old")
    with pytest.raises(ZeroDivisionError), replacing(path) as part:
        part.write_bytes(b"half")
        raise ZeroDivisionError
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_written_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "weights"
    folder.mkdir()
    with pytest.raises(OSError) as caught:
        replace_file(folder, b"new")
    assert caught.value.filename == str(folder)
    with pytest.raises(ModelError, match="weights: cannot be written"):
        replace_tensors(folder, TENSORS)
    with pytest.raises(FileNotFoundError) as missing:
        replace_file(tmp_path / "nowhere" / "file", b"new")
    assert missing.value.filename == str(tmp_path / "nowhere" / "file")
    assert list(tmp_path.iterdir()) == [folder]


def test_tensors_of_any_layout_come_back_as_they_were(tmp_path: Path) -> None:
    turned = torch.arange(12.0).reshape(3, 4).T
    channels_last = torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last)
    every_other = torch.arange(10.0)[::2]
    tensors = {"turned": turned, "channels_last": channels_last, "every_other": every_other}
    replace_tensors(tmp_path / "weights", tensors, {"about": "layouts"})
    read = load_file(tmp_path / "weights")
    assert all(torch.equal(read[name], value) for name, value in tensors.items())


@pytest.fixture
def looks_again() -> Iterator[None]:
    """Forgets which folders this process has looked into."""
    files._cleared.clear()
    yield


LEAVE = """
import os, signal, sys
from pathlib import Path
from m3att.files import replacing, unfinished_folder
out = Path(sys.argv[1])
with replacing(out / "a.json") as part, unfinished_folder(out / ".export") as folder:
    part.write_text("half")
    (folder / "graph").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is not known there")
@pytest.mark.usefixtures("looks_again")
def test_what_a_killed_process_left_is_removed_by_the_next_that_writes_into_the_folder(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", LEAVE, str(tmp_path)])
    assert len(list(tmp_path.iterdir())) == 2
    mine = [tmp_path / "b.m3att-1.part", tmp_path / "c.part", tmp_path / "d.77.part"]  # a user's own
    living = unfinished(tmp_path / "e")
    living = living.with_name(living.name.replace(str(os.getpid()), str(os.getppid())))
    for path in (*mine, living):
        path.touch()
    replace_file(tmp_path / "other", b"new")
    assert set(tmp_path.iterdir()) == {tmp_path / "other", *mine, living}


@pytest.mark.parametrize("wait", [0, 3600, FORGOTTEN + 60])
@pytest.mark.usefixtures("looks_again")
def test_what_another_machine_left_is_removed_after_a_day(tmp_path: Path, wait: float) -> None:
    folder, file = tmp_path / "a.m3att-0123abcd-7.part", tmp_path / "b.m3att-0123abcd-7.part"
    (folder / "below").mkdir(parents=True)
    (folder / "below" / "graph").touch()
    for path in (folder / "below" / "graph", folder / "below", folder, file):
        path.touch()
        os.utime(path, (time.time() - wait,) * 2)
    replace_file(tmp_path / "other", b"new")
    assert folder.exists() is file.exists() is (wait < FORGOTTEN)


@pytest.mark.usefixtures("looks_again")
def test_a_folder_of_another_machine_that_still_grows_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "a.m3att-0123abcd-7.part"
    (folder / "below").mkdir(parents=True)
    (folder / "below" / "graph").touch()
    os.utime(folder, (time.time() - FORGOTTEN - 60,) * 2)
    replace_file(tmp_path / "other", b"new")
    assert (folder / "below" / "graph").exists()


def test_a_folder_to_work_in_is_gone_at_the_end_unless_it_was_renamed(tmp_path: Path) -> None:
    with unfinished_folder(tmp_path / "new" / "a") as folder:
        (folder / "graph").touch()
    with pytest.raises(ZeroDivisionError), unfinished_folder(tmp_path / "new" / "a"):
        1 / 0  # noqa: B018
    assert list((tmp_path / "new").iterdir()) == []
    with unfinished_folder(tmp_path / "new" / "a") as folder:
        os.replace(folder, tmp_path / "new" / "a")
    assert list((tmp_path / "new").iterdir()) == [tmp_path / "new" / "a"]


@pytest.mark.parametrize("name", ["a" * 250, "\u732b" * 80])
def test_a_file_may_have_the_longest_name_that_the_system_allows(tmp_path: Path, name: str) -> None:
    replace_file(tmp_path / name, b"new")
    assert [path.name for path in tmp_path.iterdir()] == [name]
