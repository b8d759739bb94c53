"""The settings themselves: frozen, documented, and the paper's where the paper states them."""

from __future__ import annotations

import dataclasses

import pytest

from m3att.config import RunConfig
from m3att.settings import settings_of

SETTINGS = settings_of(RunConfig)


@pytest.mark.parametrize("key", SETTINGS)
def test_every_field_is_documented(key: str) -> None:
    text = SETTINGS[key].help
    assert len(text) > 10
    assert text.endswith(".")


def test_defaults_are_those_of_the_paper() -> None:
    config = RunConfig()
    assert (config.input.size, config.model.channels, config.model.word_limit) == (416, 256, 15)
    assert (config.model.decoder.layers, config.model.decoder.attention) == (3, "shared")
    assert (config.model.decoder.interaction, config.model.decoder.reconstruction) == ("iterative", True)
    assert (config.train.optimizer, config.train.learning_rate, config.train.schedule) == ("adam", 0.005, "step")
    assert (config.train.batch_size, config.train.epochs) == (48, 50.0)
    assert (config.train.mask_weight, config.train.reconstruction_weight) == (1.0, 0.1)
    assert config.evaluate.threshold == 0.35


def test_a_config_is_a_value() -> None:
    assert RunConfig() == RunConfig()
    assert hash(RunConfig()) == hash(RunConfig())
    with pytest.raises(dataclasses.FrozenInstanceError):
        RunConfig().train.steps = 3  # type: ignore[misc]
