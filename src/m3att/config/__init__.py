"""Every setting of a run, as frozen dataclasses. The docstring of a field is also its command-line help.

A default is the paper's if the paper states one (Sec. IV-A). The other defaults are those of our tiny network.
``presets`` holds the named combinations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from m3att.config.data import DataConfig, InputConfig
    from m3att.config.evaluate import EvaluateConfig
    from m3att.config.model import DecoderConfig, LanguageConfig, MaskDecoderConfig, ModelConfig, VisionConfig
    from m3att.config.run import RunConfig
    from m3att.config.train import TrainConfig

__all__ = [
    "DataConfig",
    "DecoderConfig",
    "EvaluateConfig",
    "InputConfig",
    "LanguageConfig",
    "MaskDecoderConfig",
    "ModelConfig",
    "RunConfig",
    "TrainConfig",
    "VisionConfig",
]

_HOMES = {
    "DataConfig": "data",
    "InputConfig": "data",
    "EvaluateConfig": "evaluate",
    "DecoderConfig": "model",
    "LanguageConfig": "model",
    "MaskDecoderConfig": "model",
    "ModelConfig": "model",
    "VisionConfig": "model",
    "RunConfig": "run",
    "TrainConfig": "train",
}


def __getattr__(name: str) -> Any:
    """Load a class on first use (PEP 562): predicting needs one of them, and to make them all takes as long as cv2."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
