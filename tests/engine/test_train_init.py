"""Starting from the weights of another model."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from m3att.config import DataConfig, RunConfig, VisionConfig
from m3att.data.open import open_source
from m3att.data.shaperef.lexicon import vocabulary
from m3att.data.text import Coverage, Tokenizer
from m3att.engine.start import start_run
from m3att.engine.train import train
from m3att.errors import ConfigError, ModelError
from m3att.model.build import build_network
from m3att.pretrained import load_model, save_model


def test_a_run_starts_where_its_model_ended(tiny_run: RunConfig, tmp_path: Path) -> None:
    first = train(tiny_run, tmp_path / "first")
    frozen = replace(tiny_run, train=replace(tiny_run.train, init=str(first), learning_rate=0.0, steps=1))
    second = train(frozen, tmp_path / "second")
    one, other = load_file(first / "model.safetensors"), load_file(second / "model.safetensors")
    learned = [key for key in one if "running_" not in key and "num_batches" not in key]
    assert all(torch.equal(one[key], other[key]) for key in learned)
    assert (first / "tokenizer.json").read_bytes() == (second / "tokenizer.json").read_bytes()


def test_fresh_parts_are_not_filled(tiny_run: RunConfig, tmp_path: Path) -> None:
    first = train(tiny_run, tmp_path / "first")
    pattern = "decoder.layers.*.mutual"
    wider = replace(tiny_run.model, decoder=replace(tiny_run.model.decoder, fusion_vision=True))
    start = replace(tiny_run.train, init=str(first), fresh=(pattern,), learning_rate=0.0, steps=1)
    second = train(replace(tiny_run, model=wider, train=start), tmp_path / "second")
    one, other = load_file(first / "model.safetensors"), load_file(second / "model.safetensors")
    learned = [key for key in one if "running_" not in key and "num_batches" not in key and one[key].ndim > 1]
    kept = {key for key in learned if torch.equal(one[key], other[key])}
    assert kept == {key for key in learned if ".mutual." not in key}
    assert any(".mutual.vision_output." in key for key in other)
    with pytest.raises(ConfigError, match=r"train.fresh: the network has no part decoder.layer$"):
        train(replace(tiny_run, train=replace(start, fresh=("decoder.layer",))), tmp_path / "third")
    for part in ("vision.backbone.*", "language.*", "vision.backbone.stages.0"):
        with pytest.raises(ConfigError, match=r"is only a part of an encoder; name (vision\.backbone|language) as a"):
            train(replace(tiny_run, train=replace(start, fresh=(part,))), tmp_path / "third")


def test_only_the_named_parts_learn(tiny_run: RunConfig, tmp_path: Path) -> None:
    first = train(tiny_run, tmp_path / "first")
    start = replace(tiny_run.train, init=str(first), only=("mask_decoder", "decoder.layers.*.norm_mutual"), steps=2)
    second = train(replace(tiny_run, train=start), tmp_path / "second")
    one, other = load_file(first / "model.safetensors"), load_file(second / "model.safetensors")
    changed = {key for key in one if not torch.equal(one[key], other[key])}
    # The running statistics of fixed parts are fixed too.
    assert changed and all(key.startswith("mask_decoder.") or ".norm_mutual." in key for key in changed)
    assert {"mask_decoder.vision.norm.running_mean", "mask_decoder.vision.linear.weight"} <= changed
    assert any(".norm_mutual." in key for key in changed)
    for part in ("mask_decoders", "vision.backbone.stages.9"):
        with pytest.raises(ConfigError, match=f"train.only: the network has no part {part} that learns"):
            train(replace(tiny_run, train=replace(start, only=(part,))), tmp_path / "third")


def test_a_skip_connection_starts_without_a_change_of_any_mask(tiny_run: RunConfig, tmp_path: Path) -> None:
    vision = VisionConfig(encoder="efficientnet-lite0", encoder_layers=1)
    plain = replace(tiny_run, model=replace(tiny_run.model, vision=vision))
    first = train(plain, tmp_path / "first")
    mask = replace(plain.model.mask, skip_strides=(8,))
    start = replace(plain.train, init=str(first), fresh=("mask_decoder.skips",), learning_rate=0.0, steps=1)
    model = replace(plain.model, vision=replace(vision, freeze=True), mask=mask)
    only = replace(start, only=("mask_decoder.skips",))
    second = train(replace(plain, model=model, train=only), tmp_path / "second")
    one, other = load_model(str(first)).network.eval(), load_model(str(second)).network.eval()
    pixels_BCHW = torch.randint(0, 256, (1, 3, 64, 64), dtype=torch.uint8)
    words_NL = torch.ones(1, 2, dtype=torch.long)
    given = (pixels_BCHW, torch.tensor([0]), words_NL, words_NL.bool())
    with torch.no_grad():
        torch.testing.assert_close(other(*given).mask_logits_NHW, one(*given).mask_logits_NHW)


def test_a_model_lends_its_language_to_another_backbone(tiny_run: RunConfig, tmp_path: Path) -> None:
    first = train(tiny_run, tmp_path / "first")
    narrow = replace(tiny_run.model.vision, widths=tuple(width // 2 for width in tiny_run.model.vision.widths))
    other = replace(tiny_run, train=replace(tiny_run.train, steps=2, seed=9))
    eyes = train(replace(other, model=replace(other.model, vision=narrow)), tmp_path / "eyes")
    vision = replace(narrow, weights=str(eyes), freeze=True)
    fresh = ("vision.backbone", "vision.projection")
    start = replace(tiny_run.train, init=str(first), fresh=fresh, learning_rate=0.0, steps=1)
    second = train(replace(tiny_run, model=replace(tiny_run.model, vision=vision), train=start), tmp_path / "second")
    made, lent, seen = (load_file(folder / "model.safetensors") for folder in (second, first, eyes))
    for key, value in made.items():
        if key.startswith("vision.backbone."):
            assert torch.equal(value, seen[key]), key
        elif key.startswith(("language.", "decoder.", "vision.layers.")) and value.ndim > 1:
            assert torch.equal(value, lent[key]), key
    blind = replace(vision, encoder="darknet53", weights=None)
    with pytest.raises(ConfigError, match=r"--model\.vision\.weights"):
        train(replace(tiny_run, model=replace(tiny_run.model, vision=blind), train=start), tmp_path / "third")


def test_a_run_goes_on_at_another_size_with_the_weights_it_has(tiny_run: RunConfig, tmp_path: Path) -> None:
    first = train(tiny_run, tmp_path / "first")
    size = tiny_run.input.size
    larger = replace(tiny_run, input=replace(tiny_run.input, size=size + 16))
    start = replace(larger.train, init=str(first), learning_rate=0.0, steps=1)
    with pytest.raises(ModelError, match=r"mutual.output.weight does not fit; model.grid_size keeps the grid"):
        train(replace(larger, train=start), tmp_path / "second")
    model = replace(larger.model, grid_size=size)
    second = load_model(str(train(replace(larger, model=model, train=start), tmp_path / "third")))
    assert second.network.vision.grid == load_model(str(first)).network.vision.grid
    pixels_BCHW = torch.zeros(1, 3, size + 16, size + 16, dtype=torch.uint8)
    words_NL = torch.ones(1, 2, dtype=torch.long)
    assert second.network(pixels_BCHW, torch.tensor([0]), words_NL, words_NL.bool()).mask_logits_NHW.isfinite().all()


def test_another_network_is_refused(tiny_run: RunConfig, tmp_path: Path) -> None:
    first = train(tiny_run, tmp_path / "first")
    wider = replace(tiny_run, model=replace(tiny_run.model, channels=2 * tiny_run.model.channels))
    with pytest.raises(ModelError, match="another one than this run's"):
        train(replace(wider, train=replace(wider.train, init=str(first))), tmp_path / "second")


@pytest.fixture
def own_words(tmp_path: Path) -> Path:
    """Own images whose expressions hold words that such a model does not know."""
    lines = []
    for number, texts in enumerate((["bus", "the zebra"], ["lady"], ["the red circle"])):
        Image.fromarray(np.full((32, 48, 3), 40 * number, dtype=np.uint8)).save(tmp_path / f"{number}.png")
        mask = [4, 4, 20, 4, 20, 20]
        lines.append(json.dumps({"image": f"{number}.png", "expressions": texts, "mask": mask}))
    path = tmp_path / "own.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def folder_of_fresh_model(config: RunConfig, folder: Path) -> Path:
    """A model folder with an untrained network that knows a few words."""
    tokenizer = Tokenizer.from_texts(["the red circle", "the square on the left"], config.model.word_limit)
    network = build_network(config.model, config.input.size, tokenizer.size).eval()
    with torch.no_grad():  # residual branches begin at zero, and then words change nothing
        for weight in network.decoder.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    save_model(folder, network, tokenizer, config)
    return folder


def masks_of(folder: Path, expressions: list[str]) -> torch.Tensor:
    """The mask logits of a model, of one grey image."""
    model = load_model(folder)
    words = model.tokenizer(expressions)
    size = model.config.input.size
    pixels_BCHW = torch.full((1, 3, size, size), 90, dtype=torch.uint8)
    images_N = torch.zeros(len(expressions), dtype=torch.int64)
    with torch.no_grad():
        logits: torch.Tensor = model.network(
            pixels_BCHW, images_N, words.word_ids_NL, words.word_mask_NL
        ).mask_logits_NHW
    return logits


@pytest.mark.parametrize("freeze", [False, True])
def test_new_words_are_learned_and_old_ones_mean_what_they_meant(
    tiny_run: RunConfig, tmp_path: Path, own_words: Path, freeze: bool
) -> None:
    model = replace(tiny_run.model, language=replace(tiny_run.model.language, freeze=freeze))
    first = folder_of_fresh_model(replace(tiny_run, model=model), tmp_path / "first")
    config = replace(
        tiny_run,
        model=model,
        data=DataConfig(root=str(own_words), dataset="jsonl"),
        train=replace(tiny_run.train, init=str(first), steps=1, learning_rate=0.0),
    )
    source = open_source(config.data, "train")
    start = start_run(config, source)
    old, new = Tokenizer.from_file(first / "tokenizer.json", 24), start.tokenizer
    assert start.new_words == ("bus", "lady", "zebra") == tuple(new.words_after(old.size))
    assert start.known == Coverage(expressions=4, partly_unknown=1, unknown=2)
    save_model(tmp_path / "grown", start.network, new, config)
    said = ["the red circle", "the square on the left"]
    assert old.coverage(said) == Coverage(2)
    assert torch.equal(masks_of(first, said), masks_of(tmp_path / "grown", said))
    # A word that was not known has a meaning of its own now, of the size of the others, and is trained.
    assert not torch.equal(masks_of(tmp_path / "grown", ["bus"]), masks_of(tmp_path / "grown", ["lady"]))
    vectors_VD = start.network.language.get_parameter("word_vectors.weight")
    spread, fresh = vectors_VD[: old.size].std(), vectors_VD[old.size :].std()
    assert 0.5 < float((fresh / spread).detach()) < 2
    if freeze:
        assert not start.network.language.get_buffer("fixed_words")[old.size :].any()


def test_the_vocabulary_of_the_model_can_be_kept(tiny_run: RunConfig, tmp_path: Path, own_words: Path) -> None:
    first = folder_of_fresh_model(tiny_run, tmp_path / "first")
    config = replace(
        tiny_run,
        data=DataConfig(root=str(own_words), dataset="jsonl"),
        train=replace(tiny_run.train, init=str(first), new_words=False, steps=1),
    )
    start = start_run(config, open_source(config.data, "train"))
    assert start.new_words == () and start.known == Coverage(expressions=4, partly_unknown=1, unknown=2)
    assert start.tokenizer.size == Tokenizer.from_file(first / "tokenizer.json", 24).size


def test_a_run_that_learned_words_goes_on_and_can_be_started_from(
    tiny_run: RunConfig, tmp_path: Path, own_words: Path
) -> None:
    first = folder_of_fresh_model(tiny_run, tmp_path / "first")
    config = replace(
        tiny_run,
        data=DataConfig(root=str(own_words), dataset="jsonl"),
        train=replace(tiny_run.train, init=str(first), steps=2, save_every=1, schedule="constant"),
    )
    last = train(config, tmp_path / "second")
    longer = replace(config, train=replace(config.train, steps=3))
    assert train(longer, tmp_path / "second", resume=True) == last
    assert load_model(last).tokenizer.coverage(["bus", "lady", "the zebra"]) == Coverage(3)
    third = replace(config, train=replace(config.train, init=str(last)))
    assert start_run(third, open_source(third.data, "train")).new_words == ()


def test_a_model_that_knows_shaperef_s_language_draws_no_scene_to_be_asked(
    tiny_run: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = open_source(tiny_run.data, "train", training=True)
    bundled = load_model("shaperef-tiny")
    config = replace(bundled.config, train=replace(bundled.config.train, init="shaperef-tiny"))
    monkeypatch.setattr(type(source), "texts", lambda _: pytest.fail("scenes were drawn"))
    start = start_run(config, source)
    assert start.new_words == () and start.tokenizer.size == bundled.tokenizer.size
    both = open_source(replace(tiny_run.data, dataset="shaperef,shaperefg"), "train", training=True)
    assert both.lexicon == source.lexicon == vocabulary()
