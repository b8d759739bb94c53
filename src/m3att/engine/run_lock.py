"""Keeps a run folder for one process: a lock of the system, and the name of the process that holds it.

Some network drives have no locks. There the holder shows every few seconds that it is alive: it sets the time of the
lock file. The clocks of the machines must agree to about a minute.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import IO

from m3att.files import process_exists

_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}  # errors of file systems without locks
BEAT = 20.0  # seconds between two signs of life
ALIVE = 180.0  # seconds after the last one


def sign(file: IO[bytes]) -> None:
    """Write this process's host and number into a lock file that it holds."""
    file.truncate(0)
    file.write(json.dumps({"host": socket.gethostname(), "pid": os.getpid()}).encode())
    file.flush()


def holder_of(path: Path) -> tuple[str, int] | None:
    """Host and number of the process that signed a lock file; None where nobody did, or it cannot be read.

    A process that holds the file must not ask: to close it a second time would give up the lock.
    """
    try:
        found = json.loads(path.read_bytes())
        return str(found["host"]), int(found["pid"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def is_alive(path: Path) -> bool:
    """Whether the process that signed a lock file still works, as far as one can tell without locks."""
    holder = holder_of(path)
    if holder is None or (holder[0] == socket.gethostname() and not process_exists(holder[1])):
        return False
    try:
        return time.time() - path.stat().st_mtime < ALIVE
    except FileNotFoundError:  # the holder has just ended
        return False


def is_held(path: Path) -> bool:
    """Whether a process holds a lock file, asked by one that does not want it.

    For a moment the file is locked for reading. A training that starts in that moment is refused, as if another one
    held it; so a process that is known to be gone is not asked about.
    """
    holder = holder_of(path)
    if holder is None:
        return False
    if holder[0] == socket.gethostname():
        if holder[1] == os.getpid():
            return True  # to open and close the file here would give up the lock
        if not process_exists(holder[1]):
            return False
    try:
        with path.open("rb") as file:
            free = try_lock(file)
    except OSError:
        return False
    return is_alive(path) if free is None else not free


@contextmanager
def beating(path: Path) -> Iterator[None]:
    """Show every few seconds that this process is alive."""
    ended = Event()

    def beat() -> None:
        while not ended.wait(BEAT):
            os.utime(path)

    thread = Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


if sys.platform == "win32":
    import msvcrt

    def try_lock(file: IO[bytes]) -> bool | None:
        """Whether no process has locked a file; None where that cannot be asked, as here."""
        return None

    def take_lock(file: IO[bytes]) -> bool | None:
        """Lock a file for this process; returns whether no other process has it."""
        file.seek(0)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def try_lock(file: IO[bytes]) -> bool | None:
        """Whether no process has locked a file; None where there are no locks."""
        return _lock(file, fcntl.LOCK_SH)

    def take_lock(file: IO[bytes]) -> bool | None:
        """Lock a file for this process; returns whether no other process has it, and None where there are no locks.

        Only this process has the lock. Reading processes do not inherit it, so one that lives a moment longer than a
        killed training does not keep the run from being resumed.
        """
        return _lock(file, fcntl.LOCK_EX)

    def _lock(file: IO[bytes], kind: int) -> bool | None:
        try:
            fcntl.lockf(file, kind | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EAGAIN):
                return False
            if error.errno not in _NO_LOCKS:
                raise
            return None
        return True
