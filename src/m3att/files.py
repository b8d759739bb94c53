"""Writes files as a whole: a reader sees the old content or the new one, never a part of either."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from m3att.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor


_DESCRIPTOR = re.compile(r"/(?:dev|proc/self)/fd/(\d+)")  # as shells name a process that reads: --json >(jq .)


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
    is replaced and the link stays. Nothing is left of an attempt that failed. A stream (see `is_stream`) stays, and the
    content is written to it.

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
    part = target.with_name(f"{target.name}.{os.getpid()}.part")  # another process may write the same file
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
