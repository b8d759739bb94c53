"""The data that a run could not read: named in its folder, and counted across interruptions."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from m3att.data.faults import Fault, FaultLog
from m3att.engine.run_folder import RunFolder
from m3att.files import replace_file


class RunFaults:
    """The faults of one run.

    A resumed run knows the earlier faults, so it stops at the same point as a run without interruption.

    Args:
        folder: of the run. None: a training that leaves nothing behind; its faults are only counted.
        limit: most of them.
        notes: whether this process counts them; of several, the first does.
    """

    def __init__(self, folder: RunFolder | None, limit: int, notes: bool = True) -> None:
        self.folder, self.notes = folder, notes
        # Messages say where the faults are named.
        self.path = Path("m3att data check") if folder is None else folder.faults
        self.log = FaultLog(limit, [] if folder is None else folder.known_faults())

    def note(self, faults: Iterable[Fault]) -> None:
        """Name and count those that are new.

        Raises:
            DataError: where there are more than the limit.
        """
        if not self.notes:
            return
        if self.log.add(faults) and self.folder is not None:
            lines = [json.dumps({"left_out": reason}, ensure_ascii=True) + "\n" for reason in self.log.reasons]
            replace_file(self.path, "".join(lines).encode())
        self.log.check()
