"""Files are written whole, may be read by whom the umask says, and leave nothing of an attempt that failed."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from m3att.errors import ModelError
from m3att.files import is_stream, replace_file, replace_tensors, replacing

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
