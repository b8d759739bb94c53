"""From files and words to a RunConfig and back."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from m3att.config import DataConfig, RunConfig, TrainConfig
from m3att.errors import ConfigError
from m3att.settings import (
    SettingsParser,
    add_settings,
    changed,
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


@pytest.mark.parametrize(
    ("train", "epochs", "steps"),
    [
        ({"epochs": 3}, 3.0, None),  # takes the place of the steps that stood there
        ({"epochs": 3, "steps": 9}, 3.0, 9),
        ({"epochs": 3, "steps": None}, 3.0, None),
        ({"steps": 9}, 50.0, 9),
        ({"learning_rate": 0.1}, 50.0, 7),
        ({}, 50.0, 7),
    ],
    ids=str,
)
def test_a_number_of_epochs_counts_where_steps_stood_before(
    train: dict[str, Any], epochs: float, steps: int | None
) -> None:
    for config in (config_from_dict({"train": train}, OTHER), changed(OTHER, {"train": train})):
        assert (config.train.epochs, config.train.steps) == (epochs, steps)


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
        ({"data": {"root": 3}}, "data.root: '3' does not fit, give a text or null"),
        ({"data": {"root": [1]}}, "data.root: '[1]' does not fit, give a text or null"),
        ({"data": {"dataset": 3}}, "data.dataset: '3' does not fit, give a text"),
        ({"data": {"flip": 3}}, "data.flip: '3' does not fit, give true or false"),
        ({"model": {"vision": {"widths": 3}}}, "model.vision.widths: '3' does not fit, give a list such as [1, 2, 3]"),
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


def parsed(*words: str) -> dict[str, Any]:
    """The settings of a command line, by dotted name."""
    return flatten(train_parser().parse_args(words, defaults=False).as_dict())


@cache
def train_parser() -> SettingsParser:
    """A parser of all settings; to make one takes much longer than to use it."""
    parser = SettingsParser("m3att train")
    add_settings(parser, RunConfig)
    return parser


def text_settings() -> list[str]:
    return [key for key, setting in settings_of(RunConfig).items() if setting.hint in (str, str | None)]


# What YAML takes for no text, another text, or nothing at all.
YAML_WORDS = [
    *("#data", "no", "1e3", "~", "a: b", "[x]", "'quoted'", '"x"', "&a", "*a", "!x", "{a: 1}", "- x", "|", "a #b"),
    *("007", "1:30", "2024-01-01", "True", "NULL", ".nan", "%x", "@x", "`", " a ", "a\tb", "null.jsonl"),
]


@pytest.mark.parametrize("key", text_settings())
def test_a_text_is_taken_as_it_stands(key: str) -> None:
    for word in YAML_WORDS:
        assert parsed(f"--{key}={word}") == {key: word}
        assert parsed(f"--{key}", word) == {key: word} or word.startswith("-")


@settings(max_examples=50, deadline=None)
@given(st.text(min_size=1), st.sampled_from(text_settings()))
def test_any_text_is_taken_as_it_stands(word: str, key: str) -> None:
    assume(word != "null")
    assert parsed(f"--{key}={word}") == {key: word}


def test_null_on_the_command_line_unsets_what_may_be_unset() -> None:
    assert parsed("--data.root", "null", "--train.steps=null") == {"data.root": None, "train.steps": None}
    assert parsed("--data.dataset", "null") == {"data.dataset": "null"}  # which no null can stand for
    assert changed(OTHER, {"data": {"root": None}}).data.root is None


@pytest.mark.parametrize("word", ["", " ", "\t"])
@pytest.mark.parametrize("key", ["data.root", "data.dataset", "train.init", "train.device"])
def test_an_empty_text_is_refused(key: str, word: str) -> None:
    assert refused(nest(parsed(f"--{key}={word}"))).startswith(f"{key}: is an empty text")


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
    assert "w_rec of Eq. 5, the weight of the reconstruction loss. (type: float, default: 0.1)" in words
    assert "`step`: divided by 10 at 80 and 90 per cent of the run" in words


def test_differences_are_named_by_field() -> None:
    assert differences(RunConfig(), RunConfig()) == {}
    found = differences(RunConfig(), OTHER)
    assert found["train.steps"] == (None, 7)
    assert set(found) == {"train.steps", "train.learning_rate", "train.clip", "data.root", "data.flip"}


def test_yaml_is_readable() -> None:
    assert yaml.safe_load(config_to_yaml(OTHER))["train"]["learning_rate"] == 1e-5
    assert config_to_yaml(OTHER).startswith("model:\n  channels: 256\n")


@pytest.mark.parametrize("line", ['data: {root: "a\\0b"}', 'data: {beside: ["a", "a\\0b"]}', 'train: {init: "\\0"}'])
def test_a_text_with_nul_is_refused(tmp_path: Path, line: str) -> None:
    """YAML has an escape for it, and no file has such a name."""
    (tmp_path / "run.yaml").write_text(line)
    with pytest.raises(
        ConfigError, match=r"run\.yaml: (data|train)\.\w+: no name and no text can hold the character NUL"
    ):
        config_from_file(tmp_path / "run.yaml")
