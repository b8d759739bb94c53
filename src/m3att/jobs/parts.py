"""The results of a batch job on disk: one file for each chunk of the manifest, which is there as a whole or not at all.

A chunk is written to a file of another name, forced to disk and then renamed. So whatever ends a process, at any
moment, a part is complete or missing, and a job goes on with the chunks that have no part. There is no list of
what is done that could disagree with what is there. Parts belong to chunks and not to processes, so another number
of shards may go on with a job.

While it writes, a process holds a lock on its file, which the system opens when the process ends. So two processes
never write the same chunk, whatever their shards. On file systems without locks each chunk may be computed twice,
and the later part replaces an equal one.
"""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from m3att.errors import ConfigError, DataError
from m3att.files import replace_file

JOB = "job.json"
SAME = {
    "manifest_sha256": "manifest",
    "backend": "--backend",
    "model_sha256": "model",
    "threshold": "--threshold",
    "region": "--region",
    "dtype": "--dtype",
    "lines_a_part": "--lines-a-part",
}
"""What must not change while a job goes on, and what a message calls it."""


MEND = "remove it and give the same command again"
NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}
"""Errors of file systems without locks."""


class Parts:
    """The folder of a job.

    Args:
        folder: that holds ``job.json`` and ``parts/``.
        job: values that describe the job; those in `SAME` must equal what an earlier process wrote.

    Raises:
        ConfigError: if the folder belongs to another job.
        DataError: if its ``job.json`` is broken.
    """

    def __init__(self, folder: Path, job: dict[str, Any]) -> None:
        self.folder, self.job = folder, job
        path = folder / JOB
        (folder / "parts").mkdir(parents=True, exist_ok=True)
        if path.is_file():
            check_job(path, job)
        else:
            replace_file(path, (json.dumps(job, indent=1) + "\n").encode())

    @property
    def count(self) -> int:
        """Parts of the whole job."""
        return -(-int(self.job["lines"]) // int(self.job["lines_a_part"]))

    def path(self, chunk: int) -> Path:
        """The file of a chunk's results."""
        return self.folder / "parts" / f"part-{chunk:06d}.jsonl"

    def done(self, chunk: int) -> bool:
        """Whether a chunk's results are there."""
        return self.path(chunk).is_file()

    def missing(self) -> int:
        """Parts that are not there."""
        return sum(not self.done(chunk) for chunk in range(self.count))

    @contextmanager
    def claim(self, chunk: int, again: bool = False) -> Iterator[BinaryIO | None]:
        """A file to write a chunk's results to, which becomes its part when everything is written.

        Args:
            chunk: its number.
            again: replace a part that is there.

        Yields:
            The file; None if another process has written the chunk or is writing it.
        """
        part = self.path(chunk)
        unfinished = part.with_suffix(".unfinished")
        with open(os.open(unfinished, os.O_RDWR | os.O_CREAT, 0o666), "r+b") as file:
            if not lock(file) or not is_at(file, unfinished):  # it was renamed between opening and locking
                yield None
                return
            if self.done(chunk) and not again:
                unfinished.unlink()
                yield None
                return
            try:
                file.truncate()
                yield file
                file.flush()
                os.fsync(file.fileno())
                if sys.platform == "win32":
                    file.close()
                os.replace(unfinished, part)  # before the lock goes
            except BaseException:
                unfinished.unlink(missing_ok=True)
                raise
        sync_folder(part.parent)

    def records(self) -> Iterator[dict[str, Any]]:
        """What all parts hold, a record a line of the manifest, in its order. All parts must be there.

        Raises:
            DataError: if a part is damaged or lacks lines.
        """
        last, lines, size = 0, int(self.job["lines"]), int(self.job["lines_a_part"])
        for chunk in range(self.count):
            path, found = self.path(chunk), 0
            with path.open("rb") as file:
                for text in file:
                    record = read_record(path, text)
                    number = record["line"]
                    if number <= last:
                        raise DataError(f"{path}: holds line {number} after line {last}; {MEND}")
                    last, found = number, found + 1
                    yield record
            expected = min(size, lines - chunk * size)
            if found != expected:
                raise DataError(f"{path}: holds {found} of {expected} lines; {MEND}")


def read_record(path: Path, text: bytes) -> dict[str, Any]:
    """A record of a part.

    Args:
        path: of the part.
        text: a line of it.

    Raises:
        DataError: if it is damaged, which a disk can do after the part was written.
    """
    try:
        record = json.loads(text)
    except ValueError:
        record = None
    if not isinstance(record, dict) or not isinstance(record.get("line"), int):
        raise DataError(f"{path}: is damaged; {MEND}")
    return record


def check_job(path: Path, job: dict[str, Any]) -> None:
    """Compare a job with the one that a folder was begun for.

    Args:
        path: the folder's ``job.json``.
        job: the present values.

    Raises:
        ConfigError: if they differ.
        DataError: if the file is broken.
    """
    try:
        begun = json.loads(path.read_text(encoding="utf-8"))
        begun.setdefault("region", "all")  # a job of a version that had no regions
        begun.setdefault("backend", job.get("backend"))  # or that did not write the backend
        changed = [name for key, name in SAME.items() if begun[key] != job.get(key)]
        if "--backend" in changed and "model" in changed and begun.get("model") == job.get("model"):
            changed.remove("model")  # the same model has other files for another backend
    except (ValueError, KeyError, TypeError, AttributeError):
        raise DataError(f"{path}: is not that of a job; give another --out") from None
    if changed:
        raise ConfigError(
            f"{path.parent}: holds a job with another {' and another '.join(changed)}; give another --out, or the "
            f"values in {path.name} to go on with it"
        )


def lock(file: BinaryIO) -> bool:
    """Lock a file for this process until it is closed; False if another process has it."""
    if sys.platform == "win32":  # which lets nobody rename a file that another process has open
        return True
    import fcntl

    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
    return True


def is_at(file: BinaryIO, path: Path) -> bool:
    """Whether an open file is still the one of this name."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except FileNotFoundError:
        return False


def sync_folder(folder: Path) -> None:
    """Force a folder's names to disk, so that a power cut does not take back a renaming."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
