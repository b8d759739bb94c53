"""The table of encoders names what there is, and what the rows say holds."""

from __future__ import annotations

from dataclasses import fields

import pytest

from m3att.bounds import check_encoders
from m3att.config import LanguageConfig, ModelConfig, VisionConfig
from m3att.encoders import LANGUAGE, VISION, Encoder, halves_of, named
from m3att.errors import ConfigError
from m3att.settings import config_from_dict

HALVES = {"vision": (VISION, VisionConfig), "language": (LANGUAGE, LanguageConfig)}


@pytest.mark.parametrize("half", HALVES)
def test_rows_name_what_there_is(half: str) -> None:
    table, config = HALVES[half]
    assert all(callable(named(row.build)) for row in table.values())
    assert all(callable(named(row.fill)) for row in table.values() if row.fill is not None)
    assert all((row.weights is None) == (row.fill is None) for row in table.values())
    settings = {field.name for field in fields(config)}
    assert all(set(row.settings) <= settings for row in table.values())
    assert all(("architecture" in row.settings) == (row.kind == "transformers") for row in table.values())
    assert all(row.weights is not None for row in table.values() if row.kind != "fresh")


@pytest.mark.parametrize("half", HALVES)
def test_an_encoder_that_does_not_exist_is_answered_by_those_that_do(half: str) -> None:
    first = next(iter(HALVES[half][0]))
    with pytest.raises(ConfigError, match=rf"model\.{half}\.encoder: no 'resnet'; there are {first}, "):
        config_from_dict({"model": {half: {"encoder": "resnet"}}})


@pytest.mark.parametrize(
    ("vision", "fresh", "nothing"),
    [
        (VisionConfig(), False, False),
        (VisionConfig(freeze=True), False, False),  # a choice of random features
        (VisionConfig(encoder="efficientnet-lite0"), True, False),
        (VisionConfig(encoder="efficientnet-lite0", freeze=True), True, True),
        (VisionConfig(encoder="efficientnet-lite0", freeze=True, weights="imagenet"), False, False),
    ],
)
def test_what_starts_without_its_weights(vision: VisionConfig, fresh: bool, nothing: bool) -> None:
    half, _ = halves_of(ModelConfig(vision=vision))
    assert (half.starts_fresh, half.freezes_nothing) == (fresh, nothing)


def test_word_vectors_are_missed_only_where_they_are_to_be_kept() -> None:
    for freeze in (False, True):
        _, half = halves_of(ModelConfig(language=LanguageConfig(freeze=freeze)))
        assert (half.starts_fresh, half.freezes_nothing) == (False, freeze)


def test_a_new_row_takes_part_in_every_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(VISION, "mine", Encoder("pretrained", "mine:build", "mine.safetensors", ("map_strides",)))
    check_encoders(ModelConfig(vision=VisionConfig(encoder="mine", map_strides=(8, 16))))
    with pytest.raises(ConfigError, match="mine has none; it is a setting of huggingface"):
        check_encoders(ModelConfig(vision=VisionConfig(encoder="mine", architecture="swin-b")))


def test_a_row_with_a_setting_that_does_not_exist_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(VISION, "mine", Encoder("fresh", "mine:build", settings=("widths", "depth")))
    with pytest.raises(ConfigError, match=r"mine names the setting depth, which VisionConfig in src/m3att/config "):
        check_encoders(ModelConfig(vision=VisionConfig(encoder="mine")))
