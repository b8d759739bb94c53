"""The paper taken at its word: the switches of all settings that the paper states and that a preset here departs from.

docs/paper.md lists them, each with its default and its literal value; a test compares that list with `LITERAL`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from m3att.config import RunConfig
from m3att.presets.preset import Preset
from m3att.settings import changed, nest

LITERAL: Mapping[str, Any] = {
    "model.norm_everywhere": True,
    "model.decoder.projection_norm": True,
    "model.decoder.mutual_heads": 1,
    "model.decoder.fusion_norm": False,
    "model.decoder.fusion_vision": False,
    "model.decoder.interaction_code": False,
    "model.decoder.reconstruction_stop_gradient": False,
    "model.mask.figure_6": True,
    "model.mask.kernel": 1,
    "model.mask.narrowing": 1,
    "model.mask.maps_per_word": 1,
    "model.mask.unit_convolutions": 2,
    "train.clip": 0.0,
    "train.warmup": 0,
    "train.dice_weight": 0.0,
    "train.category_weight": 0.0,
    "train.attention_weight": 0.0,
}


def literal(config: RunConfig) -> RunConfig:
    """The same run with every switch at the paper's word.

    Sizes, data, encoders, optimiser and budget stay those of the run.

    Args:
        config: of any preset.
    """
    return changed(config, nest(LITERAL))


def literal_presets(presets: Mapping[str, Preset]) -> dict[str, Preset]:
    """`NAME-literal` for each preset.

    Args:
        presets: by name.
    """
    return {
        f"{name}-literal": Preset(
            literal(preset.config),
            preset.description.replace(f"--preset {name} ", f"--preset {name}-literal ").replace(
                f"runs/{name};", f"runs/{name}-literal;"
            )
            + " Every switch is as the paper says (docs/paper.md).",
        )
        for name, preset in presets.items()
    }
