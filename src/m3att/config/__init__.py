"""Every setting of a run, as frozen dataclasses. The docstring of a field is also its command-line help.

A default is the paper's if the paper states one (Sec. IV-A). The other defaults are those of our tiny network.
``presets`` holds the named combinations.
"""

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
