"""Settings that were given and that another setting makes idle are named."""

from __future__ import annotations

from typing import Any

import pytest

from m3att.config import RunConfig
from m3att.data.fields import OWN_FORMS
from m3att.data.own.tools import TOOLS
from m3att.effects import EXPORTS, OWN, RULES, changed_from_default, without_effect
from m3att.settings import config_from_dict, config_to_dict, flatten, nest, settings_of


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"train.epochs": 3, "train.steps": 9}, "train.epochs 3 has no effect: train.steps 9 decides the length"),
        ({"train.fall": 0.5}, "train.fall 0.5 has no effect: train.schedule is step"),
        ({"train.pretrained_rate": 0.1}, "train.pretrained_rate 0.1 has no effect: no encoder has weights of its own"),
        (
            {"model.vision.weights": "w", "train.init": "bundled"},
            "model.vision.weights w has no effect: train.init bundled fills the network",
        ),
        ({"train.layer_decay": 0.7}, "train.layer_decay 0.7 has no effect: no encoder has weights of its own"),
        (
            {"train.tracked_images": 2, "train.trackers": []},
            "train.tracked_images 2 has no effect: train.trackers names no tracker",
        ),
        ({"data.per_image": 4, "data.grouped": False}, "data.per_image 4 has no effect: data.grouped is false"),
        ({"data.seed": 4, "data.root": "x"}, "data.seed 4 has no effect: the images of data.root are not drawn"),
        ({"data.held_out": 0.2}, "data.held_out 0.2 has no effect: data.dataset shaperef states its splits"),
        (
            {"data.split_by": "google", "data.root": "x", "data.dataset": "jsonl"},
            "data.split_by google has no effect: data.dataset jsonl has no splits of authors",
        ),
        ({"data.split_by": "google"}, "data.split_by google has no effect: data.dataset shaperef has no splits of"),
        (
            {"data.collage_side": 200, "data.root": "x", "data.dataset": "refcoco"},
            "data.collage_side 200 has no effect: no collages are made; see data.pixels",
        ),
        ({"data.pixels": "layout"}, "data.pixels layout has no effect: without data.root, scenes are drawn"),
        (
            {"data.expression_field": "x"},
            "data.expression_field x has no effect: data.dataset names no file of an annotation tool",
        ),
        ({"data.image_root": "x"}, "data.image_root x has no effect: data that are drawn have no photos"),
        (
            {"model.decoder.injection": 0.2, "model.decoder.interaction": "none"},
            "model.decoder.injection 0.2 has no effect: model.decoder.interaction is none",
        ),
        (
            {"train.reconstruction_weight": 1.0, "model.decoder.reconstruction": False},
            "train.reconstruction_weight 1 has no effect: model.decoder.reconstruction is false",
        ),
        (
            {"model.decoder.fusion_norm": True, "model.decoder.attention": "lav"},
            "model.decoder.fusion_norm true has no effect: model.decoder.attention lav has no F_mul",
        ),
        (
            {"model.decoder.mutual_heads": 2, "model.decoder.attention": "generic"},
            "model.decoder.mutual_heads 2 has no effect: model.decoder.attention generic is multi-head attention of",
        ),
        (
            {"model.mask.maps_per_word": 4, "model.mask.kind": "concatenate"},
            "model.mask.maps_per_word 4 has no effect: model.mask.kind concatenate has no kernels of words",
        ),
        (
            {"model.mask.skip_channels": 4},
            "model.mask.skip_channels 4 has no effect: model.mask.skip_strides is empty",
        ),
        (
            {"model.mask.narrowing": 2, "model.mask.upsamplings": 0},
            "model.mask.narrowing 2 has no effect: model.mask.upsamplings is 0",
        ),
        (
            {"model.vision.widths": [8, 16, 16], "model.vision.encoder": "darknet53"},
            "model.vision.widths [8, 16, 16] has no effect: model.vision.encoder darknet53 has its own",
        ),
        (
            {"model.language.rnn": "gru", "model.language.encoder": "huggingface", "model.language.weights": "bert"},
            "model.language.rnn gru has no effect: model.language.encoder huggingface has its own",
        ),
        (
            {
                "model.language.word_minimum": 2,
                "model.language.encoder": "huggingface",
                "model.language.weights": "bert",
            },
            "model.language.word_minimum 2 has no effect: the words are those of bert",
        ),
    ],
)
def test_a_given_setting_that_changes_nothing_is_named_and_only_where_it_was_given(
    values: dict[str, Any], line: str
) -> None:
    config = config_from_dict(nest(values))
    found = without_effect(config, values)
    assert [one for one in found if one.startswith(line)]
    assert all("\n" not in one and "{" not in one for one in found)
    assert without_effect(config, ()) == []


@pytest.mark.parametrize(
    "values",
    [
        {"train.epochs": 3},
        {"train.steps": 9},
        {"train.fall": 0.5, "train.schedule": "trapezoid"},
        {"data.per_image": 4},
        {"data.old": ["shaperef"], "data.old_share": 0.2},
        {"data.beside": ["own.jsonl"], "data.beside_share": 0.4},
        {"data.root": "x", "data.image_root": "y"},
        {"data.root": "x", "data.dataset": "jsonl", "data.seed": 3, "data.held_out": 0.2},
        {"data.root": "x", "data.dataset": "refcoco", "data.pixels": "collage", "data.seed": 3, "data.cutouts": ["y"]},
        {"data.root": "x", "data.dataset": "refcoco, jsonl", "data.split_by": "google", "data.pixels": "layout"},
        {"model.vision.weights": "w", "train.pretrained_rate": 0.1},
        {"model.vision.weights": "w", "train.layer_decay": 0.7, "train.init": "bundled"},
        {"model.decoder.injection": 0.2, "model.decoder.fusion_vision": True, "model.mask.maps_per_word": 2},
    ],
    ids=str,
)
def test_a_setting_that_counts_is_not(values: dict[str, Any]) -> None:
    assert without_effect(config_from_dict(nest(values)), values) == []


def test_rules_speak_of_fields_that_exist() -> None:
    assert {key for rule in RULES for key in rule.keys} <= set(settings_of(RunConfig))


def test_the_forms_of_own_data_are_those_that_can_be_opened() -> None:
    assert set(OWN_FORMS) == OWN and set(TOOLS) == EXPORTS


def test_a_complete_file_names_only_what_is_not_the_default() -> None:
    config = config_from_dict({"train": {"steps": 9}, "model": {"vision": {"widths": [8], "blocks": [0]}}})
    found = changed_from_default(config_to_dict(config))
    assert found == {"train.steps", "model.vision.widths", "model.vision.blocks"}
    assert changed_from_default({"train": {"unknown": 3}, "data": None}) == set()
    assert "train.epochs" in flatten(config_to_dict(config))
