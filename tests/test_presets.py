"""The named experiments: complete, buildable, and the paper's where they say so."""

from __future__ import annotations

import shlex
from dataclasses import replace
from itertools import pairwise, product
from pathlib import Path

import pytest
import torch
import yaml

from m3att.app.run_settings import started_config
from m3att.bounds import check_fit
from m3att.config import RunConfig
from m3att.data.refer.splits import require_legal, word_limit
from m3att.data.shaperef.world import VARIANTS
from m3att.engine.origin import earlier_runs
from m3att.errors import ConfigError
from m3att.model.build import build_backbone, build_network
from m3att.model_folder import bundled_models, fill_backbone
from m3att.presets import LITERAL, PAPER_ROWS, PRESETS, WEIGHTS, find_preset
from m3att.pretrained import load_model
from m3att.settings import config_from_dict, config_to_dict, config_to_yaml, flatten

PAPER = [f"{row}-{backbone}" for row, backbone in product(PAPER_ROWS, WEIGHTS)]
RECOMMENDED = [f"{name}-recommended" for name in PAPER]
LITERALS = [name for name in PRESETS if name.endswith("-literal")]
# Of the eight networks, four that hold every choice between them: a Swin-B takes seconds even without weights.
BUILT = [f"{name}-{backbone}{suffix}" for name, suffix in (("refcoco", ""), ("refcocog-umd", "-recommended"))
         for backbone in WEIGHTS]  # fmt: skip


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_fits_together(name: str) -> None:
    config = PRESETS[name].config
    check_fit(config)
    assert config_from_dict(yaml.safe_load(config_to_yaml(config))) == config
    drawn = all(dataset.strip() in VARIANTS for dataset in config.data.dataset.split(","))
    assert config.train.steps is not None or not drawn


@pytest.mark.parametrize("name", PRESETS)
def test_a_description_says_command_time_and_score(name: str) -> None:
    description = PRESETS[name].description
    command, _, rest = description.partition(";")
    words = shlex.split(command)
    assert words[:4] == ["m3att", "train", "--preset", name]
    assert "--out" in words
    root = [value for word, value in pairwise(words) if word == "--data.root"]
    assert root in ([], ["ROOT"])  # as on the pages
    assert "minutes" in rest or "epochs, untrained here" in rest
    assert any(
        score in rest
        for score in ("mean IoU 0.", "The paper reports overall IoU 0.", "docs/lab-notes.md", "docs/reproduction.md")
    )


@pytest.mark.parametrize("name", ["ablation-tiny", "ablation-layout-tiny"])
def test_the_backbones_that_ablations_start_from_are_there_and_fit(name: str) -> None:
    config = PRESETS[name].config
    assert config.model.vision.freeze
    backbone = build_backbone(config.model.vision)
    fresh = {key: value.clone() for key, value in backbone.state_dict().items()}
    fill_backbone(backbone, str(config.model.vision.weights))
    assert not any(torch.equal(fresh[key], value) for key, value in backbone.state_dict().items() if "0.weight" in key)


def test_every_row_of_the_paper_has_a_preset_and_a_recommended_one() -> None:
    assert len(PAPER) == 10
    assert set(PAPER + RECOMMENDED) <= set(PRESETS)
    assert {"refcoco-swin-b", "refcoco+-swin-b", "refcocog-google-darknet53", "referit-darknet53"} <= set(PRESETS)


@pytest.mark.parametrize("name", PAPER)
def test_a_preset_of_the_paper_has_what_the_paper_states(name: str) -> None:
    config = PRESETS[name].config
    model, train = config.model, config.train
    assert (model.channels, model.mask.channels, model.vision.encoder_layers, model.decoder.layers) == (256, 512, 2, 3)
    assert (model.decoder.heads, model.decoder.attention, model.decoder.interaction) == (8, "shared", "iterative")
    assert (train.mask_weight, train.reconstruction_weight, train.dice_weight) == (1, 0.1, 0)
    assert (train.epochs, train.steps, train.batch_size) == (50, None, 48)
    assert (train.optimizer, train.learning_rate, train.schedule) == ("adam", 0.005, "step")
    assert model.word_limit == (20 if "refcocog" in name else 15) == word_limit(config.data.dataset)
    swin = name.endswith("swin-b")
    assert (config.input.size, config.input.resize) == ((480, "stretch") if swin else (416, "letterbox"))
    assert config.evaluate.threshold == (0.5 if swin else 0.35)
    assert model.language.encoder == ("huggingface" if swin else "birnn")


@pytest.mark.parametrize("name", PAPER + RECOMMENDED)
def test_a_preset_on_photos_reads_nothing_else_and_says_what_weights_to_give(name: str) -> None:
    preset = PRESETS[name]
    data, model = preset.config.data, preset.config.model
    require_legal(data.dataset, str(data.split_by), data.split)
    require_legal(data.dataset, str(data.split_by), "train")
    assert data.pixels == "photos"
    assert (model.vision.weights, model.language.weights) == (None, None)
    words = shlex.split(preset.description.partition(";")[0])
    assert {"--data.root", "--model.vision.weights", "--model.language.weights"} <= set(words)


def test_pretrained_encoders_learn_at_the_rate_that_they_are_known_to_bear() -> None:
    for name in (name for name in PAPER + RECOMMENDED if "swin-b" in name):
        train = PRESETS[name].config.train
        assert train.learning_rate * train.pretrained_rate == pytest.approx(5e-5)


def test_a_recommended_preset_departs_where_it_says() -> None:
    paper, ours = (PRESETS[f"refcoco-swin-b{suffix}"].config for suffix in ("", "-recommended"))
    assert ours.model.decoder.reconstruction_stop_gradient and ours.model.decoder.injection == 0
    assert (ours.train.optimizer, ours.train.learning_rate, ours.train.dice_weight) == ("adamw", 3e-4, 1.0)
    assert (ours.data.sentences, ours.train.epochs) == ("all", 18)
    assert ours.model.decoder.fusion_vision and ours.train.attention_weight == 0.1
    assert not paper.model.decoder.fusion_vision and paper.train.attention_weight == 0
    assert paper.model.mask_padding and not ours.model.mask_padding
    assert replace(ours.model, decoder=paper.model.decoder, mask=paper.model.mask, mask_padding=True) == paper.model
    assert ours.input == paper.input


@pytest.mark.parametrize("name", LITERALS)
def test_a_literal_preset_differs_in_the_switches_of_the_page_alone(name: str) -> None:
    base, made = (flatten(config_to_dict(PRESETS[key].config)) for key in (name.removesuffix("-literal"), name))
    assert {key: value for key, value in made.items() if value != base[key]} == {
        key: value for key, value in LITERAL.items() if value != base[key]
    }
    assert all(made[key] == value for key, value in LITERAL.items())


def test_every_switch_of_the_literal_presets_departs_somewhere() -> None:
    """Otherwise it would be no departure."""
    found = [flatten(config_to_dict(preset.config)) for name, preset in PRESETS.items() if name not in LITERALS]
    kept = {"model.decoder.projection_norm", "model.decoder.mutual_heads", "model.decoder.fusion_norm"}
    assert {key for key, value in LITERAL.items() if all(one[key] == value for one in found)} == kept
    assert len(LITERALS) >= 12 and "ablation-tiny-literal" in LITERALS and "refcoco-swin-b-literal" in LITERALS


@pytest.mark.parametrize("name", BUILT)
def test_a_network_of_the_paper_can_be_built(name: str) -> None:
    config = PRESETS[name].config
    with torch.device("meta"):
        network = build_network(config.model, config.input.size, words=10_000)
    assert network.vision.stride == 16
    assert sum(weight.numel() for weight in network.vision.backbone.parameters()) > 40e6


@pytest.mark.parametrize("name", [name for name in PRESETS if name.endswith("tiny")])
def test_a_tiny_network_is_small_enough_to_be_bundled(name: str) -> None:
    config = PRESETS[name].config
    network = build_network(config.model, config.input.size, words=5000)
    size = sum(value.numel() * value.element_size() for value in network.state_dict().values())
    assert size < 16e6


@pytest.mark.parametrize("name", bundled_models())
def test_a_bundled_model_is_what_its_preset_makes(name: str) -> None:
    made, preset = load_model(name).config, PRESETS[name].config
    assert made.model == preset.model
    assert made.input == preset.input
    assert (made.data, made.evaluate) == (preset.data, preset.evaluate)
    # How a run is watched and on what it runs changes no weight.
    watched = ("log_every", "validate_every", "validate_images", "save_every", "threads", "workers")
    assert replace(made.train, **{name: getattr(preset.train, name) for name in watched}) == preset.train


@pytest.mark.parametrize("name", PRESETS)
def test_a_run_that_comes_before_has_a_length(name: str) -> None:
    assert all(run.steps > 0 for run in earlier_runs(PRESETS[name].config, Path("run")))


def test_the_command_line_changes_single_settings_of_a_preset() -> None:
    config = started_config({"preset": "shaperef-tiny"}, {"train": {"steps": 5}})
    assert config.train.steps == 5
    assert config.model == PRESETS["shaperef-tiny"].config.model
    assert PRESETS["shaperef-tiny"].config != RunConfig()


def test_an_unknown_preset_is_answered_with_the_likeliest_one() -> None:
    with pytest.raises(ConfigError, match=r"no preset 'refcoco-swin', did you mean refcoco-swin-b\?; m3att presets"):
        find_preset("refcoco-swin")
    with pytest.raises(ConfigError, match="no preset 'huge'; m3att presets lists them"):
        find_preset("huge")
