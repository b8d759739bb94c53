"""Named experiments as values; `m3att train --preset NAME` runs one, `m3att presets` lists them.

The description of a preset gives its command, its training time and its expected score.
"""

from __future__ import annotations

from m3att.errors import ConfigError, did_you_mean
from m3att.presets.literal import LITERAL, literal, literal_presets
from m3att.presets.paper import MEASURE, PAPER_ROWS, WEIGHTS, paper_presets, paper_run, recommended_run
from m3att.presets.photo import PHOTO_PRESETS
from m3att.presets.preset import Preset
from m3att.presets.tiny import TINY_PRESETS, tiny_network

__all__ = [
    "LITERAL",
    "MEASURE",
    "PAPER_ROWS",
    "PRESETS",
    "WEIGHTS",
    "Preset",
    "find_preset",
    "literal",
    "paper_run",
    "recommended_run",
    "tiny_network",
]

_NAMED: dict[str, Preset] = {**PHOTO_PRESETS, **TINY_PRESETS, **paper_presets()}
_AS_THE_PAPER = {
    name: preset
    for name, preset in _NAMED.items()
    if name.startswith("ablation-") or name.removesuffix("-darknet53").removesuffix("-swin-b") in PAPER_ROWS
}
PRESETS: dict[str, Preset] = {**_NAMED, **literal_presets(_AS_THE_PAPER)}


def find_preset(name: str) -> Preset:
    """A preset by its name.

    Raises:
        ConfigError: where there is none of that name.
    """
    if name not in PRESETS:
        raise ConfigError(f"no preset {name!r}{did_you_mean(name, PRESETS)}; m3att presets lists them")
    return PRESETS[name]
