"""What settings may be, alone and together."""

from __future__ import annotations

from typing import Any

import pytest

from m3att.bounds import RANGES, check_fit, check_range
from m3att.config import RunConfig
from m3att.errors import ConfigError
from m3att.settings import config_from_dict, config_to_dict, settings_of


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"train": {"batch_size": 0}}, "train.batch_size: 0 is out of range, give 1 or more"),
        ({"train": {"learning_rate": float("nan")}}, "train.learning_rate: nan is out of range, give 0 or more"),
        ({"train": {"learning_rate": float("inf")}}, "train.learning_rate: inf is out of range, give 0 or more"),
        ({"evaluate": {"threshold": 1.5}}, "evaluate.threshold: 1.5 is out of range, give 0 to 1"),
        ({"model": {"decoder": {"heads": 7}}}, "model.channels: 256 is no multiple of model.decoder.heads 7"),
        ({"model": {"channels": 6, "decoder": {"heads": 2}}}, "model.channels: 6 is no multiple of 4"),
        ({"model": {"vision": {"widths": [8]}}}, "model.vision: widths [8] and blocks [0, 1, 2]"),
        ({"model": {"mask": {"narrowing": 10}}}, "model.mask.channels: 512 cannot narrow 3 times by 10"),
        ({"input": {"size": 8}, "model": {"vision": {"widths": [1] * 4, "blocks": [0] * 4}}}, "input.size: 8 is too"),
        (
            {"train": {"early_sizes": [96, 0], "early_steps": [1, 2]}},
            "train.early_sizes: [96, 0] is out of range, give 8 to input.size 416",
        ),
        (
            {
                "train": {"early_sizes": [8], "early_steps": [1]},
                "model": {"vision": {"widths": [1] * 4, "blocks": [0] * 4}},
            },
            "train.early_sizes: [8] is too small for 4 halvings",
        ),
        ({"train": {"early_sizes": [8, 8], "early_steps": [5, 5]}}, "train.early_steps: [5, 5] do not rise from 1 or"),
        ({"train": {"restarts": [9, 3]}}, "train.restarts: [9, 3] do not rise from 1 or more"),
        ({"train": {"restarts": [0]}}, "train.restarts: [0] do not rise from 1 or more"),
        ({"train": {"fresh": ["lfr"]}}, "train.fresh: everything starts fresh where train.init names no model"),
        (
            {"train": {"attention_weight": 0.1}, "model": {"decoder": {"attention": "val"}}},
            "train.attention_weight: model.decoder.attention val alone has no attention over positions",
        ),
        ({"model": {"grid_size": 4}}, "model.grid_size: 4 is out of range, give 8 to 4096"),
        ({"model": {"vision": {"architecture": "swin-b"}}}, "swin-b is of the encoder huggingface, not of tiny"),
        ({"model": {"vision": {"encoder": "darknet53", "architecture": "x"}}}, "x is of the encoder huggingface"),
        ({"model": {"language": {"architecture": "bert-base"}}}, "model.language.architecture: bert-base is of the"),
        ({"model": {"vision": {"encoder": "huggingface"}}}, "model.vision: the encoder huggingface needs weights, an"),
        ({"model": {"language": {"encoder": "huggingface"}}}, "model.language: the encoder huggingface needs weights"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config_from_dict(values)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_ranges_speak_of_fields_that_exist() -> None:
    assert set(RANGES) <= set(settings_of(RunConfig))
    for key, (low, high) in RANGES.items():
        default = settings_of(RunConfig)[key].default
        assert default is None or low <= default <= high


@pytest.mark.parametrize("key", RANGES)
def test_both_ends_of_a_range_are_in_it_and_nothing_beyond(key: str) -> None:
    low, high = RANGES[key]
    check_range(key, low)
    check_range(key, high)
    for value in (low - 1e-3, high * 2, float("nan"), float("-inf")):
        with pytest.raises(ConfigError, match=key.replace(".", r"\.")):
            check_range(key, value)


@pytest.mark.parametrize("train", [{"early_sizes": [96]}, {"early_steps": [10]}], ids=str)
def test_half_of_an_early_phase_is_refused(train: dict[str, list[int]]) -> None:
    with pytest.raises(ConfigError, match="give one of each a phase"):
        check_fit(config_from_dict({"train": train}))


@pytest.mark.parametrize(
    "model",
    [
        {"vision": {"encoder": "darknet53", "weights": "darknet53.conv.74", "freeze": True, "early_fusion": True}},
        {"vision": {"encoder": "huggingface", "weights": "owner/name"}},
        {"vision": {"encoder": "huggingface", "architecture": "swin-b", "weights": "owner/name", "early_fusion": True}},
        {"language": {"encoder": "huggingface", "architecture": "bert-base", "freeze": True}, "mask_padding": False},
        {"language": {"weights": "glove.txt", "freeze": True}},
        {"vision": {"early_fusion": True}, "mask_padding": False},
    ],
    ids=str,
)
def test_what_fits_is_taken(model: dict[str, Any]) -> None:
    config = config_from_dict({"model": model})
    assert config_from_dict(config_to_dict(config)) == config
