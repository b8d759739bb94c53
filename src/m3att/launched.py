"""The processes that a launcher such as torchrun started, as the environment of one of them tells. Loads no PyTorch."""

from __future__ import annotations

import os
from collections.abc import Callable

from m3att.errors import ConfigError

_claim: Callable[[], bool] | None = None  # asks all processes; None until they have met


def process_count() -> int:
    """How many processes the launcher started; 1 without one.

    Raises:
        ConfigError: where the environment says something that is no number.
    """
    count = os.environ.get("WORLD_SIZE", "").strip()
    if count and not count.isdecimal():
        raise ConfigError(f"WORLD_SIZE is {count!r}, which is no number of processes: start m3att with torchrun")
    return max(1, int(count or 1))


def process_rank() -> int:
    """The number of this process, from 0."""
    rank = os.environ.get("RANK", "").strip()
    return int(rank) if process_count() > 1 and rank.isdecimal() else 0


def require_one_process() -> None:
    """Refuse to be one of several processes.

    Raises:
        ConfigError: says how to start instead.
    """
    count = process_count()
    if count > 1:
        raise ConfigError(
            f"this command is for one process, and the launcher started {count} (WORLD_SIZE): start it without torchrun"
        )


def ask_all_by(claim: Callable[[], bool]) -> None:
    """Say how the processes agree on who speaks, once they have met.

    Args:
        claim: asks all of them; True for the first that calls it.
    """
    global _claim
    _claim = claim


def may_speak() -> bool:
    """Whether this process is the one that says why all of them end: the first that asks.

    Before the processes have met, it is the first of them.
    """
    return process_rank() == 0 if _claim is None else _claim()
