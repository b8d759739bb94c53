"""Images and expressions that cannot be read: named, counted and left out, up to a limit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from m3att.errors import DataError, clipped


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that was left out.

    Args:
        reason: one line that names the thing.
        image: number of the image in its source; -1 where an entry was left out when the files were opened.
        positions: the expressions of the image that were left out with it.
        entries: expressions that were left out before they had a position.
    """

    reason: str
    image: int = -1
    positions: tuple[int, ...] = ()
    entries: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "reason", clipped(self.reason))

    @property
    def expressions(self) -> int:
        """How many expressions are left out with it."""
        return len(self.positions) + self.entries


class FaultLog:
    """Counts different faults against a limit, independently of the number of reading processes.

    Args:
        limit: most of them.
        known: reasons that an earlier part of the run has counted.
    """

    def __init__(self, limit: int, known: Iterable[str] = ()) -> None:
        self.limit = limit
        self.reasons: dict[str, None] = dict.fromkeys(known)
        self.faults: list[Fault] = []

    def add(self, faults: Iterable[Fault]) -> list[str]:
        """Count some faults. Returns the reasons that are new."""
        found = list(faults)
        self.faults += found
        new = [reason for reason in dict.fromkeys(fault.reason for fault in found) if reason not in self.reasons]
        self.reasons |= dict.fromkeys(new)
        return new

    def check(self) -> None:
        """Stop if there are too many.

        Raises:
            DataError: names the newest, and the number.
        """
        if len(self.reasons) <= self.limit:
            return
        newest = next(reversed(self.reasons))
        if self.limit == 0:
            raise DataError(newest)
        raise DataError(
            f"{newest}; with it {len(self.reasons)} images or expressions cannot be read, more than --data.fault_limit "
            f"{self.limit}: mend them, or allow more"
        )
