"""Where a training stands, as its checkpoint says. It does not import PyTorch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Position:
    """Where a training stands.

    Args:
        step: optimiser steps done.
        epoch: number of the epoch that the next batch belongs to.
        batch: number of the next batch in that epoch.
        seconds: training time so far.
        expressions: expressions trained on so far.
        best_mean_iou: best validation so far; see `Scores.agreement`.
        stale: validations since the best one.
        steps: of the whole run, as far as it was planned; 0: not known.
    """

    step: int = 0
    epoch: int = 0
    batch: int = 0
    seconds: float = 0.0
    expressions: int = 0
    best_mean_iou: float = -1.0
    stale: int = 0
    steps: int = 0

    def has_ended(self, steps: int, patience: int) -> bool:
        """Whether a training is over.

        Args:
            steps: of the whole run.
            patience: validations in a row that may be no better than the best; 0: any number.
        """
        return self.step >= steps or 0 < patience <= self.stale


def position_of(checkpoint: Path) -> Position | None:
    """The position that the header of a checkpoint holds; its tensors are not read.

    Args:
        checkpoint: a safetensors file: eight bytes with the length of its header, and the header as JSON.

    Returns:
        None where there is no such file, or nobody can read it.
    """
    try:
        with checkpoint.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length))
        return Position(**json.loads(header["__metadata__"]["position"]))
    except (OSError, ValueError, KeyError, TypeError, MemoryError, OverflowError):
        return None
