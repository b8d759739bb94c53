"""All settings of a run."""

from __future__ import annotations

from dataclasses import dataclass, field

from m3att.config.data import DataConfig, InputConfig
from m3att.config.evaluate import EvaluateConfig
from m3att.config.model import ModelConfig
from m3att.config.train import TrainConfig


@dataclass(frozen=True)
class RunConfig:
    """Everything that makes a run."""

    model: ModelConfig = field(default_factory=ModelConfig)
    """The network."""
    input: InputConfig = field(default_factory=InputConfig)
    """The network's input."""
    data: DataConfig = field(default_factory=DataConfig)
    """The data."""
    train: TrainConfig = field(default_factory=TrainConfig)
    """The optimisation."""
    evaluate: EvaluateConfig = field(default_factory=EvaluateConfig)
    """The protocol."""
