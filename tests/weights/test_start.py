"""Public weights on their way into a network, and a training that starts from them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from m3att.config import (
    DataConfig,
    DecoderConfig,
    InputConfig,
    LanguageConfig,
    MaskDecoderConfig,
    ModelConfig,
    RunConfig,
    TrainConfig,
    VisionConfig,
)
from m3att.data.text import Tokenizer
from m3att.encoders import VISION
from m3att.engine.train import train
from m3att.errors import ConfigError, ModelError
from m3att.model.build import build_network
from m3att.model.vision.darknet53 import Darknet53, DarknetTrunk
from m3att.pretrained import load_model
from m3att.weights.darknet import TIMM_HABITS, timm_name
from m3att.weights.start import fill_pretrained, pretrained_parts

WIDTHS, BLOCKS = (4, 4, 4, 6, 8, 8), (1, 1, 1, 1, 1)
TOKENIZER = Tokenizer.from_texts(["the red circle on the left of a wug"], 8)


@pytest.fixture(autouse=True)
def small_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small Darknet in place of the true one, and a cache of the test's own."""
    row = replace(VISION["darknet53"], build=lambda: Darknet53(WIDTHS, BLOCKS))
    monkeypatch.setitem(VISION, "darknet53", row)
    monkeypatch.setenv("M3ATT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("m3att.data.shaperef.source._TEXT_SCENES", 40)


@pytest.fixture
def trunk_file(tmp_path: Path) -> Path:
    """A timm file of the small trunk; its values are far from fresh ones."""
    weights = DarknetTrunk(WIDTHS, BLOCKS).state_dict()
    random = {name: (torch.rand_like(value.float()) / 4 + 0.1).to(value.dtype) for name, value in weights.items()}
    theirs = {timm_name(name): value for name, value in random.items() if name not in TIMM_HABITS}
    save_file(theirs, tmp_path / "darknet.safetensors")
    return tmp_path / "darknet.safetensors"


@pytest.fixture
def vectors_file(tmp_path: Path) -> Path:
    """Word vectors of 8 channels; "wug" is not among them."""
    words = ("the", "red", "circle", "square", "left", "of")
    lines = [f"{word} " + " ".join(f"{0.1 * (n + k):.3f}" for k in range(8)) for n, word in enumerate(words, start=1)]
    (tmp_path / "glove.txt").write_text("\n".join(lines))
    return tmp_path / "glove.txt"


def config(vision: dict[str, Any] | None = None, language: dict[str, Any] | None = None) -> ModelConfig:
    return ModelConfig(
        channels=16,
        word_limit=24,
        vision=replace(VisionConfig(encoder="darknet53", encoder_layers=1), **(vision or {})),
        language=replace(LanguageConfig(word_channels=8), **(language or {})),
        decoder=DecoderConfig(layers=1, heads=2, feedforward=1),
        mask=MaskDecoderConfig(channels=4, upsamplings=1),
    )


def run(model: ModelConfig, **settings: Any) -> RunConfig:
    return RunConfig(
        model=model,
        input=InputConfig(size=32, resize="stretch"),
        data=DataConfig(per_image=4),
        train=TrainConfig(
            batch_size=8, steps=2, learning_rate=1e-2, schedule="constant", warmup=0, device="cpu", workers=0,
            threads=1, validate_every=9, validate_images=1, tracked_images=0, **settings,
        ),
    )  # fmt: skip


def test_darknets_trunk_is_filled_and_its_merge_stays_fresh(trunk_file: Path) -> None:
    settings = config({"weights": str(trunk_file)})
    network = build_network(settings, 32, TOKENIZER.size)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    fill_pretrained(network, TOKENIZER, settings)
    weights = load_file(trunk_file)
    for name, value in network.vision.backbone.trunk.state_dict().items():
        assert torch.equal(value, TIMM_HABITS[name] if name in TIMM_HABITS else weights[timm_name(name)])
    changed = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert changed and all(name.startswith("vision.backbone.trunk.") for name in changed)


def test_known_words_get_their_vectors_and_the_others_their_size(vectors_file: Path) -> None:
    settings = config(language={"weights": str(vectors_file)})
    network = build_network(settings, 32, TOKENIZER.size)
    fresh = network.language.word_vectors.weight.clone()
    fill_pretrained(network, TOKENIZER, settings)
    vectors_VD = network.language.word_vectors.weight
    found = {word: TOKENIZER.tokenizer.token_to_id(word) for word in ("the", "red", "circle", "left", "of")}
    known_RD = vectors_VD[list(found.values())]
    torch.testing.assert_close(vectors_VD[found["red"]], torch.tensor([0.1 * (2 + k) for k in range(8)]))
    for number in range(TOKENIZER.size):
        if number not in found.values():
            torch.testing.assert_close(vectors_VD[number], fresh[number] * known_RD.std())


@pytest.mark.parametrize("freeze", [True, False])
def test_frozen_word_vectors_stay_and_the_others_learn(vectors_file: Path, freeze: bool) -> None:
    settings = config(language={"weights": str(vectors_file), "freeze": freeze})
    network = build_network(settings, 32, TOKENIZER.size)
    fill_pretrained(network, TOKENIZER, settings)
    words = TOKENIZER(["the red wug"])
    words_NLC, _ = network.language(words.word_ids_NL, words.word_mask_NL)
    (words_NLC.square() * torch.randn_like(words_NLC)).sum().backward()
    moved = {
        word: bool(network.language.word_vectors.weight.grad[TOKENIZER.tokenizer.token_to_id(word)].any())
        for word in ("the", "red", "wug", "left")
    }
    assert moved == {"the": not freeze, "red": not freeze, "wug": True, "left": False}


def test_a_training_keeps_what_is_frozen_and_its_model_needs_no_file(
    tmp_path: Path, trunk_file: Path, vectors_file: Path
) -> None:
    model = config({"weights": str(trunk_file), "freeze": True}, {"weights": str(vectors_file), "freeze": True})
    settings = run(model, weight_decay=0.1, save_every=1)
    train(settings, tmp_path / "run")
    public = load_file(trunk_file)
    trunk_file.unlink()
    vectors_file.unlink()
    for folder in ("best", "last"):
        loaded = load_model(tmp_path / "run" / folder)
        for name, value in loaded.network.vision.backbone.trunk.state_dict().items():
            assert torch.equal(value, TIMM_HABITS[name] if name in TIMM_HABITS else public[timm_name(name)])
        language = loaded.network.language
        assert language.fixed_words.any() and not language.fixed_words.all()
        red = language.word_vectors.weight[loaded.tokenizer.tokenizer.token_to_id("red")]
        torch.testing.assert_close(red, torch.tensor([0.1 * (2 + k) for k in range(8)]), rtol=0, atol=1e-6)
    # The run goes on without them too, and still knows which words are fixed.
    longer = replace(settings, train=replace(settings.train, steps=3))
    train(longer, tmp_path / "run", resume=True)
    again = load_model(tmp_path / "run" / "last").network.language
    assert torch.equal(again.fixed_words, language.fixed_words)
    assert torch.equal(again.word_vectors.weight[again.fixed_words], language.word_vectors.weight[again.fixed_words])
    # So does a run that starts from the model.
    train(replace(settings, train=replace(settings.train, init=str(tmp_path / "run" / "last"))), tmp_path / "second")


def test_pretrained_parts_learn_at_their_own_rate(tmp_path: Path, trunk_file: Path) -> None:
    still = run(config({"weights": str(trunk_file)}), pretrained_rate=0.0)
    train(still, tmp_path / "run")
    network = load_model(tmp_path / "run" / "last").network
    public = load_file(trunk_file)
    for name, weight in network.vision.backbone.trunk.named_parameters():
        assert torch.equal(weight, public[timm_name(name)])  # its statistics moved, since it is not frozen
    assert not torch.equal(network.vision.backbone.trunk.stem.norm.running_mean, public["stem.conv1.bn.running_mean"])


def test_which_parts_are_pretrained(vectors_file: Path) -> None:
    def names(settings: ModelConfig) -> list[str]:
        network = build_network(settings, 32, TOKENIZER.size)
        of = {id(part): name for name, part in network.named_modules()}
        return [of[id(part)] for part in pretrained_parts(network, settings)]

    assert names(config()) == []
    assert names(config({"weights": "x"}, {"weights": str(vectors_file)})) == ["vision.backbone"]


@pytest.mark.parametrize("part", ["vision", "language"])
def test_freezing_what_starts_from_nothing_is_refused(part: str) -> None:
    settings = config(**{part: {"freeze": True}})
    network = build_network(settings, 32, TOKENIZER.size)
    with pytest.raises(ConfigError, match=rf"model\.{part}\.freeze: .* has nothing pretrained to keep; give --model"):
        fill_pretrained(network, TOKENIZER, settings)


def test_a_training_refuses_it_before_it_opens_its_data(tmp_path: Path) -> None:
    settings = replace(run(config({"freeze": True})), data=DataConfig(root="nowhere", dataset="refcoco"))
    with pytest.raises(ConfigError, match=r"model\.vision\.freeze: darknet53 has nothing pretrained to keep"):
        train(settings, tmp_path / "run")


def test_a_category_loss_without_categories_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("m3att.data.shaperef.source.ShapeRefSource.category_names", ())
    with pytest.raises(ConfigError, match=r"train\.category_weight: shaperef has no categories to learn; give --train"):
        train(run(config(), category_weight=0.5), tmp_path / "run")


def tiny(widths: tuple[int, ...] = (4, 6, 8), **vision: Any) -> ModelConfig:
    return config({"encoder": "tiny", "widths": widths, "blocks": (0, 0, 1)} | vision)


def test_a_tiny_backbone_comes_from_a_model_and_may_be_frozen(tmp_path: Path) -> None:
    first = train(run(tiny()), tmp_path / "first")
    train(run(tiny(weights=str(first), freeze=True), weight_decay=0.1), tmp_path / "second")
    one, other = (load_model(tmp_path / name / "last").network.state_dict() for name in ("first", "second"))
    held = {key for key in one if key.startswith("vision.backbone.")}
    assert held and all(torch.equal(one[key], other[key]) for key in held)
    assert not torch.equal(one["vision.projection.linear.weight"], other["vision.projection.linear.weight"])
    parts = pretrained_parts(load_model(tmp_path / "second" / "last").network, tiny(weights=str(first)))
    assert {name for part in parts for name, _ in part.named_parameters()} == {
        key.removeprefix("vision.backbone.") for key in held if key.endswith(("weight", "bias"))
    }


def test_a_model_with_another_backbone_is_refused(tmp_path: Path) -> None:
    first = train(run(tiny()), tmp_path / "first")
    for widths, blocks in (((4, 6, 10), (0, 0, 1)), ((4, 8), (0, 1)), ((4, 6, 8), (1, 0, 1))):
        wanted = tiny(widths, blocks=blocks, weights=str(first))
        network = build_network(wanted, 32, TOKENIZER.size)
        with pytest.raises(ModelError, match=r"its backbone is another one than this run's: stages\..* does not fit"):
            fill_pretrained(network, TOKENIZER, wanted)


def test_a_backbone_of_no_model_is_refused(tmp_path: Path) -> None:
    network = build_network(tiny(), 32, TOKENIZER.size)
    with pytest.raises(ModelError, match="x: no such model; bundled are"):
        fill_pretrained(network, TOKENIZER, tiny(weights="x"))
    (tmp_path / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(ModelError, match="not a readable safetensors file"):
        fill_pretrained(network, TOKENIZER, tiny(weights=str(tmp_path)))


def test_a_wrong_file_stops_a_training_before_its_folder_is_made(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such file"):
        train(run(config({"weights": str(tmp_path / "none")})), tmp_path / "run")
    assert not (tmp_path / "run").exists()
