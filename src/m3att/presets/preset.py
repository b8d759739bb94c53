"""What a preset is."""

from __future__ import annotations

from dataclasses import dataclass

from m3att.config import RunConfig


@dataclass(frozen=True)
class Preset:
    """A named experiment.

    Args:
        config: its settings. The command line can change any of them.
        description: command, time and expected score.
    """

    config: RunConfig
    description: str
