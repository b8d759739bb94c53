"""The named experiments: complete, buildable, and small enough to be bundled."""

from __future__ import annotations

import shlex

import pytest

from m3att.app.runs import started_config
from m3att.config import RunConfig
from m3att.errors import ConfigError
from m3att.model.build import build_network
from m3att.presets import PRESETS, find_preset
from m3att.settings import check_fit, config_from_dict, config_to_dict


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_fits_together(name: str) -> None:
    config = PRESETS[name].config
    check_fit(config)
    assert config_from_dict(config_to_dict(config)) == config
    assert config.train.steps is not None


@pytest.mark.parametrize("name", PRESETS)
def test_a_description_says_command_time_and_score(name: str) -> None:
    description = PRESETS[name].description
    command, _, rest = description.partition(";")
    words = shlex.split(command)
    assert words[:4] == ["m3att", "train", "--preset", name]
    assert "--out" in words
    assert "minutes" in rest
    assert "mean IoU 0." in rest


@pytest.mark.parametrize("name", [name for name in PRESETS if name.endswith("tiny")])
def test_a_tiny_network_is_small_enough_to_be_bundled(name: str) -> None:
    config = PRESETS[name].config
    network = build_network(config.model, config.input.size, words=5000)
    size = sum(value.numel() * value.element_size() for value in network.state_dict().values())
    assert size < 16e6


def test_the_command_line_changes_single_settings_of_a_preset() -> None:
    config = started_config({"preset": "shaperef-tiny"}, {"train": {"steps": 5}})
    assert config.train.steps == 5
    assert config.model == PRESETS["shaperef-tiny"].config.model
    assert PRESETS["shaperef-tiny"].config != RunConfig()


def test_an_unknown_preset_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="no preset 'tiny'; there are shaperef-tiny, "):
        find_preset("tiny")
