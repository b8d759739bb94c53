"""From files and words to a RunConfig and back."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from m3att.config import DataConfig, RunConfig, TrainConfig
from m3att.errors import ConfigError
from m3att.settings import (
    RANGES,
    SettingsParser,
    add_settings,
    changed,
    check_fit,
    config_from_dict,
    config_from_file,
    config_to_dict,
    config_to_yaml,
    differences,
    flatten,
    nest,
    settings_of,
)

OTHER = RunConfig(train=TrainConfig(steps=7, learning_rate=1e-5, clip=0.5), data=DataConfig(root="/a: b", flip=True))


def refused(values: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        config_from_dict(values)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("config", [RunConfig(), OTHER], ids=["defaults", "other"])
def test_plain_values_come_back_the_same(config: RunConfig, tmp_path: Path) -> None:
    assert config_from_dict(config_to_dict(config)) == config
    assert config_from_dict(json.loads(json.dumps(config_to_dict(config)))) == config
    path = tmp_path / "run.yaml"
    path.write_text(config_to_yaml(config), encoding="utf-8")
    assert config_from_file(path) == config
    assert nest(flatten(config_to_dict(config))) == config_to_dict(config)


def test_what_is_not_given_comes_from_the_base() -> None:
    config = config_from_dict({"train": {"steps": 9}, "model": {"vision": {"widths": [4, 8], "blocks": [0, 0]}}}, OTHER)
    assert config.train == replace(OTHER.train, steps=9)
    assert config.data == OTHER.data
    assert config.model.vision.widths == (4, 8)


def test_null_unsets() -> None:
    assert config_from_dict({"train": {"steps": None}}, OTHER).train.steps is None


@pytest.mark.parametrize("values", [{}, {"train": {}}, {"train": None}])
def test_an_empty_section_changes_nothing(values: dict[str, Any]) -> None:
    assert config_from_dict(values, OTHER) == OTHER


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"train": {"stepps": 3}}, "unknown key train.stepps, did you mean train.steps?"),
        ({"trian": {"steps": 3}}, "unknown key trian.steps, did you mean train.steps?"),
        ({"zebra": 1}, "unknown key zebra"),
        ({"train": 3}, "train: is a section with fields of its own, not 3"),
        ({"train": {"steps": {"a": 1}}}, "unknown key train.steps.a"),
        ({"train": {"steps": "many"}}, "train.steps: 'many' does not fit, give a whole number or null"),
        ({"train": {"batch_size": 2.5}}, "train.batch_size: '2.5' does not fit, give a whole number"),
        ({"train": {"optimizer": "sgd"}}, "train.optimizer: 'sgd' does not fit, give adam or adamw or muon"),
        ({"data": {"flip": 3}}, "data.flip: '3' does not fit, give true or false"),
        ({"model": {"vision": {"widths": 3}}}, "model.vision.widths: '3' does not fit, give a list such as [1, 2, 3]"),
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
    assert message in refused(values)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"train: [", "not YAML"),
        (b"\xff\xfe\x00", "not UTF-8 text"),
        (b"just words", "holds no sections"),
        (b"train:\n  stepps: 1\n", "unknown key train.stepps"),
    ],
)
def test_a_bad_file_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "run.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=message) as caught:
        config_from_file(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: cannot be read \(No such file"):
        config_from_file(tmp_path / "nowhere.yaml")


def test_yaml_cannot_build_objects(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("train: !!python/object/apply:os.system ['true']", encoding="utf-8")
    with pytest.raises(ConfigError, match="not YAML"):
        config_from_file(path)


def test_only_what_was_given_is_parsed() -> None:
    parser = SettingsParser("m3att train")
    add_settings(parser, RunConfig)
    given = parser.parse_args(["--train.steps", "3", "--data.root", "1: 2"], defaults=False).as_dict()
    assert given == {"train": {"steps": 3}, "data": {"root": "1: 2"}}
    assert changed(OTHER, given).train.learning_rate == OTHER.train.learning_rate


def test_options_do_not_abbreviate() -> None:
    parser = SettingsParser("m3att train")
    add_settings(parser, RunConfig)
    with pytest.raises(ConfigError, match=r"unknown option --train\.ste"):
        parser.parse_args(["--train.ste", "3"])


def test_a_part_of_the_settings_can_be_asked_for() -> None:
    parser = SettingsParser("m3att evaluate")
    add_settings(parser, DataConfig, "data", skip=("data.flip",))
    text = parser.format_help()
    assert "--data.root" in text
    assert "--data.flip" not in text
    assert "--train" not in text


def test_help_says_what_the_docstrings_say() -> None:
    parser = SettingsParser("m3att train")
    add_settings(parser, RunConfig)
    words = " ".join(parser.format_help().split())
    assert "w_rec of Eq. 5. (type: float, default: 0.1)" in words
    assert "`step` divides by 10 at 80 and 90 per cent" in words


def test_differences_are_named_by_field() -> None:
    assert differences(RunConfig(), RunConfig()) == {}
    found = differences(RunConfig(), OTHER)
    assert found["train.steps"] == (None, 7)
    assert set(found) == {"train.steps", "train.learning_rate", "train.clip", "data.root", "data.flip"}


def test_ranges_speak_of_fields_that_exist() -> None:
    assert set(RANGES) <= set(settings_of(RunConfig))
    for key, (low, high) in RANGES.items():
        default = settings_of(RunConfig)[key].default
        assert default is None or low <= default <= high


def test_yaml_is_readable() -> None:
    assert yaml.safe_load(config_to_yaml(OTHER))["train"]["learning_rate"] == 1e-5
    assert config_to_yaml(OTHER).startswith("model:\n  channels: 256\n")


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
