"""Writes files as a whole: a reader sees the old content or the new one, never a part of either.

What is not finished has a name that says which process writes it. A process that is killed leaves it, and the next one
that writes into the same folder removes it.
"""

from __future__ import annotations

import errno
import functools
import hashlib
import os
import re
import shutil
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from m3att.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor


_DESCRIPTOR = re.compile(r"/(?:dev|proc/self)/fd/(\d+)")  # as shells name a process that reads: --json >(jq .)
_UNFINISHED = re.compile(r"(.+)\.m3att-([0-9a-f]{8})-(\d{1,9})\.part", re.DOTALL)
_LONGEST = 200  # bytes of a name that are kept; most file systems allow 255, and the process needs some of them
FORGOTTEN = 86_400.0
"""Seconds after which something unfinished is taken for left behind where nobody can ask whether its process lives."""
_cleared: set[Path] = set()


def unfinished(path: Path) -> Path:
    """The name beside a file or folder under which this process writes it before it takes its own name."""
    start = path.name.encode("utf-8", "replace")[:_LONGEST].decode("utf-8", "ignore")
    return path.with_name(f"{start}.m3att-{_here()}-{os.getpid()}.part")


def finished_name(name: str) -> str | None:
    """The name that `unfinished` was given; None for a name of another form."""
    match = _UNFINISHED.fullmatch(name)
    return match[1] if match else None


@functools.cache
def _here() -> str:
    """Eight letters for where the numbers of processes count: this machine, or the container on it."""
    try:
        space = os.readlink("/proc/self/ns/pid")
    except OSError:  # only Linux has it
        space = ""
    return hashlib.sha256(f"{socket.gethostname()} {space}".encode()).hexdigest()[:8]


def process_exists(number: int) -> bool:
    """Whether another process of this machine has a number."""
    if number == os.getpid():
        return False
    try:
        os.kill(number, 0)
    except (ProcessLookupError, OverflowError):  # no system has numbers so large
        return False
    except PermissionError:
        pass  # it belongs to somebody else
    return True


def clear_unfinished(folder: Path) -> None:
    """Remove what processes that were killed have left in a folder, not in those below it. A process looks once.

    Args:
        folder: that may be missing.
    """
    folder = folder.absolute()
    if folder in _cleared:
        return
    _cleared.add(folder)
    with suppress(OSError):  # of a folder that nobody may list: whether it can be written to is told soon
        for path in [Path(entry.path) for entry in os.scandir(folder) if _UNFINISHED.fullmatch(entry.name)]:
            with suppress(OSError):  # another process has removed it, or it is another user's
                if _is_left(path):
                    _remove(path)


def _is_left(path: Path) -> bool:
    """Whether the process that wrote something unfinished is gone."""
    match = _UNFINISHED.fullmatch(path.name)
    assert match is not None
    place, number = match[2], int(match[3])
    if place == _here() and sys.platform != "win32":  # where no process can be asked without a signal to it
        return number != os.getpid() and not process_exists(number)
    newest = path.lstat().st_mtime
    if time.time() - newest > FORGOTTEN and path.is_dir() and not path.is_symlink():
        newest = max((inside.lstat().st_mtime for inside in path.rglob("*")), default=newest)
    return time.time() - newest > FORGOTTEN


def _remove(path: Path) -> None:
    """Remove a file, or a folder with what it holds."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


@contextmanager
def unfinished_folder(path: Path) -> Iterator[Path]:
    """A folder to work in, beside a path; removed at the end, unless it was given another name.

    Args:
        path: of what becomes of it; the folders above it are made.

    Yields:
        An empty folder.

    Raises:
        OSError: where it cannot be made.
    """
    part = unfinished(path)
    part.parent.mkdir(parents=True, exist_ok=True)
    clear_unfinished(part.parent)
    shutil.rmtree(part, ignore_errors=True)  # of a killed process that had the number of this one
    part.mkdir()
    try:
        yield part
    finally:
        shutil.rmtree(part, ignore_errors=True)


def is_stream(path: Path) -> bool:
    """Whether a path can only be written to, not replaced: a pipe, a device, or an open file as ``/dev/stdout``."""
    return _descriptor(path) is not None or (path.exists() and not path.is_file() and not path.is_dir())


def _descriptor(path: Path) -> int | None:
    """The number of the open file of this process that a path names."""
    name = os.path.abspath(path)
    match = _DESCRIPTOR.fullmatch(name)
    return int(match[1]) if match else {"/dev/stdout": 1, "/dev/stderr": 2}.get(name)


@contextmanager
def _streaming(path: Path) -> Iterator[Path]:
    """A temporary path to write to, whose content goes to a stream when everything is written."""
    with TemporaryDirectory() as folder:
        part = Path(folder) / "part"
        part.touch()
        yield part
        number = _descriptor(path)
        # An open file is continued. Opened anew by its name, it would be overwritten from its beginning.
        with part.open("rb") as file, open(path if number is None else os.dup(number), "wb") as stream:
            shutil.copyfileobj(file, stream)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path to write to, which replaces ``path`` when everything is written.

    The umask decides who may read the new file, whichever library writes it. If ``path`` is a link, the file behind it
    is replaced and the link stays. Nothing is left of an attempt that failed, and what a killed process has left in the
    folder is removed. A stream (see `is_stream`) stays, and the content is written to it.

    Args:
        path: the file; its folder must exist.

    Yields:
        An empty file, beside it where it is no stream.

    Raises:
        OSError: where it cannot be written; names ``path``.
    """
    if is_stream(path):
        with _streaming(path) as part:
            yield part
        return
    target = Path(os.path.realpath(path))
    part = unfinished(target)  # another process may write the same file
    clear_unfinished(target.parent)
    try:
        try:
            part.touch()
            mode = part.stat().st_mode  # by the umask, which cannot be read without setting it
            yield part
            part.chmod(mode)
            with part.open("rb") as file:
                os.fsync(file.fileno())  # otherwise a power cut could leave an empty file under the new name
            os.replace(part, target)
            sync_folder(target.parent)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        if error.filename == str(part):
            error.filename, error.filename2 = str(path), None
        raise


def sync_folder(folder: Path) -> None:
    """Make the names in a folder outlast a power cut, where the system can do that for a folder.

    Raises:
        OSError: where the disk fails.
    """
    if hasattr(os, "O_DIRECTORY"):
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(opened)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):  # a file system that cannot do it
                raise
        finally:
            os.close(opened)


def replace_file(path: Path, content: bytes) -> None:
    """Write a file as `replacing` says.

    Raises:
        OSError: where it cannot be written.
    """
    with replacing(path) as part:
        part.write_bytes(content)


def replace_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """Write a safetensors file as `replacing` says.

    Args:
        path: the file.
        tensors: of any layout and device.
        metadata: texts that go into its header.

    Raises:
        ModelError: where it cannot be written, as on a disk that is full.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    # safetensors writes memory as it is, so numbers of an array in another order would be read in the wrong order.
    plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    try:
        with replacing(path) as part:
            save_file(plain, part, metadata=metadata)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path}: cannot be written ({error})") from error
