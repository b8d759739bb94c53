"""Checkpoints of transformers, written by the library itself, on their way into a network and its model folder."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from huggingface_hub.errors import LocalEntryNotFoundError
from safetensors.torch import load_file, save_file

from m3att import Segmenter
from m3att.config import (
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
from m3att.engine.train import train
from m3att.errors import ConfigError, ModelError
from m3att.model.build import build_network
from m3att.model.language.text_transformer import HuggingFaceEncoder
from m3att.model.network import M3AttNet
from m3att.model.vision.auto_backbone import HuggingFaceBackbone
from m3att.model.vision.contract import IMAGENET_MEAN
from m3att.pretrained import load_model
from m3att.weights.start import fill_pretrained, pretrained_parts, start_tokenizer
from m3att.weights.transformers_checkpoint import WANTED, find_architectures, find_folder


def small(vision: str | Path | None = None, language: str | Path | None = None) -> ModelConfig:
    """A small network with encoders of checkpoints."""
    return ModelConfig(
        channels=16,
        word_limit=24,
        vision=VisionConfig(widths=(8, 16), blocks=(0, 0), encoder_layers=1)
        if vision is None
        else VisionConfig(encoder="huggingface", weights=str(vision), encoder_layers=1),
        language=LanguageConfig(word_channels=8)
        if language is None
        else LanguageConfig(encoder="huggingface", weights=str(language)),
        decoder=DecoderConfig(layers=2, heads=2, feedforward=1),
        mask=MaskDecoderConfig(channels=4, upsamplings=1),
    )


def built(config: ModelConfig) -> tuple[M3AttNet, Tokenizer]:
    """The network that a training starts from, and its tokenizer."""
    tokenizer = start_tokenizer(config, lambda: ["the red circle on the left"])
    network = build_network(config, 64, tokenizer.size, architectures=find_architectures(config, tokenizer))
    fill_pretrained(network, tokenizer, config)
    return network.eval(), tokenizer


@pytest.mark.parametrize("kind", ["swin", "convnext", "resnet", "dinov2"])
def test_a_vision_checkpoint_gives_the_librarys_own_features(checkpoints: Path, kind: str) -> None:
    network, _ = built(small(vision=checkpoints / kind))
    backbone = network.vision.backbone
    assert isinstance(backbone, HuggingFaceBackbone)
    stages = ["stage2", "stage3", "stage4"] if kind != "dinov2" else ["stage2"]
    theirs = type(backbone.trunk).from_pretrained(str(checkpoints / kind), out_features=stages).eval()
    multiple = backbone.strides[-1]
    pixels_BCHW = torch.randn(2, 3, 2 * multiple, 3 * multiple)
    for mine, his in zip(backbone(pixels_BCHW), theirs(pixels_BCHW).feature_maps, strict=True):
        assert torch.equal(mine, his)
    for size in ((64, 64), (50, 71), (97, 33)):
        images = network.encode(torch.randint(0, 256, (1, 3, *size), dtype=torch.uint8))
        assert images.grid.cells == tuple(-(-side // network.vision.stride) for side in size)
        assert images.vis_BPC.isfinite().all()
    assert pretrained_parts(network, small(vision=checkpoints / kind)) == [backbone]


@pytest.mark.parametrize("kind", ["bert", "roberta", "distilbert"])
def test_a_text_checkpoint_gives_the_librarys_own_states(checkpoints: Path, kind: str) -> None:
    network, tokenizer = built(small(language=checkpoints / kind))
    encoder = network.language
    assert isinstance(encoder, HuggingFaceEncoder)
    texts = ["the red circles!", "a box"]
    words = tokenizer(texts)
    reference = transformers.AutoTokenizer.from_pretrained(checkpoints / kind)
    batch = reference(texts, padding=True, return_tensors="pt")
    theirs = transformers.AutoModel.from_pretrained(checkpoints / kind).eval()
    states_NSE = theirs(batch["input_ids"], attention_mask=batch["attention_mask"]).last_hidden_state
    ids_NS, mask_NS = encoder.frame(words.word_ids_NL, words.word_mask_NL)
    assert torch.equal(ids_NS, batch["input_ids"])
    assert torch.equal(mask_NS.long(), batch["attention_mask"])
    words_NLC, sentence_NC = encoder(words.word_ids_NL, words.word_mask_NL)
    expected_NLC = encoder.norm_words(encoder.project_words(states_NSE[:, 1:-1]))
    torch.testing.assert_close(words_NLC[words.word_mask_NL], expected_NLC[words.word_mask_NL])
    torch.testing.assert_close(sentence_NC, encoder.norm_sentence(encoder.project_sentence(states_NSE[:, 0])))


def test_without_weights_an_architecture_reads_the_trainings_own_words() -> None:
    config = replace(small(), language=LanguageConfig(encoder="huggingface", architecture="bert-tiny"))
    network, tokenizer = built(config)
    assert tokenizer.frame == (2, 3) and tokenizer.size == 4 + 5
    assert isinstance(network.language, HuggingFaceEncoder)
    assert (network.language.start_id, network.language.end_id) == (2, 3)
    assert network.language.trunk.config.vocab_size == tokenizer.size
    assert tokenizer(["the wug"]).word_ids_NL.tolist() == [[tokenizer.tokenizer.token_to_id("the"), 1]]


@pytest.mark.parametrize(("half", "name", "kind"), [("vision", "swin-b", "swin"), ("language", "bert-base", "bert")])
def test_an_architecture_that_disagrees_with_its_weights_is_named(
    checkpoints: Path, half: str, name: str, kind: str
) -> None:
    config = small(**{half: checkpoints / kind})
    key = "embed_dim 128" if half == "vision" else "hidden_size 768"
    other = replace(config, **{half: replace(getattr(config, half), architecture=name)})
    with pytest.raises(ConfigError, match=f"model.{half}.architecture: {name} has {key}, but .*{kind} has"):
        built(other)
    unknown = replace(config, **{half: replace(getattr(config, half), architecture="no-such")})
    with pytest.raises(ConfigError, match=f"model.{half}.architecture: no 'no-such'; there are {name}"):
        built(unknown)


def test_pixels_are_normalised_as_the_checkpoint_says(checkpoints: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(checkpoints / "convnext", tmp_path / "convnext"))
    processor = folder / "preprocessor_config.json"
    for mean, differs in (([0.485, 0.456, 0.406], False), ([0.5, 0.5, 0.5], True)):
        deviation = [0.229, 0.224, 0.225] if not differs else [0.5, 0.5, 0.5]
        processor.write_text(json.dumps({"image_mean": mean, "image_std": deviation}))
        backbone = built(small(vision=folder))[0].vision.backbone
        assert isinstance(backbone, HuggingFaceBackbone)
        assert backbone.pixel_mean == ((127.5, 127.5, 127.5) if differs else IMAGENET_MEAN)
    processor.write_text(json.dumps({"do_normalize": False, "image_mean": [0.485, 0.456, 0.406]}))
    backbone = built(small(vision=folder))[0].vision.backbone
    assert (backbone.pixel_mean, backbone.pixel_std) == ((0, 0, 0), (255, 255, 255))  # pixels in [0, 1]
    for broken in ('{"image_mean": [0.5]}', "[]", "{"):
        processor.write_text(broken)
        refused(small(vision=folder), "preprocessor_config.json")


def test_pickled_weights_are_refused(checkpoints: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(checkpoints / "swin", tmp_path / "swin"))
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    refused(small(vision=folder), r"only pytorch_model.bin, a pickle.*save_pretrained\(FOLDER\), and give FOLDER")
    (folder / "pytorch_model.bin").unlink()
    refused(small(vision=folder), "has no model.safetensors")


def test_broken_and_foreign_checkpoints_are_named(checkpoints: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(checkpoints / "bert", tmp_path / "bert"))
    config = small(language=folder)
    # Copies: the library maps the file into memory, and it is cut short below.
    weights = {name: value.clone() for name, value in load_file(folder / "model.safetensors").items()}
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[: len(content) // 2])
    refused(config, "its weights cannot be read")
    name = "bert.encoder.layer.1.output.dense.weight"
    save_file({k: v for k, v in weights.items() if k != name}, folder / "model.safetensors", {"format": "pt"})
    refused(config, r"lacks encoder.layer.1.output.dense.weight \(1 in all\); it is of another network")
    save_file({**weights, name: torch.zeros(2, 2)}, folder / "model.safetensors", {"format": "pt"})
    refused(config, "its weights cannot be read")
    (folder / "vocab.txt").unlink()
    refused(config, "has no tokenizer; put its tokenizer.json or vocab.txt beside config.json")
    for broken in ("{", '{"model_type": "no-such-kind"}', "{}"):
        (folder / "config.json").write_text(broken)
        refused(
            replace(config, language=LanguageConfig(), vision=small(vision=folder).vision), "its config.json is none"
        )
    (folder / "config.json").unlink()
    refused(small(vision=folder), "has no config.json")


def test_a_tokenizer_larger_than_its_encoder_and_too_many_words_are_refused(checkpoints: Path) -> None:
    config = small(language=checkpoints / "bert")
    tokenizer = start_tokenizer(config, list)
    known = find_architectures(config, tokenizer)
    with pytest.raises(ConfigError, match="the tokenizer has 301 words, its encoder only 300"):
        build_network(config, 64, 301, architectures=known)
    with pytest.raises(ConfigError, match=r"model\.word_limit: 511; the encoder reads 510 at most"):
        build_network(replace(config, word_limit=511), 64, tokenizer.size, architectures=known)


def test_a_name_that_is_nowhere_is_answered_in_one_line(checkpoints: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, message in (
        ("./no/such", "no such folder"),
        ("no-such", "no such folder"),
        (str(checkpoints / "bert" / "vocab.txt"), "is a file; give the folder"),
    ):
        refused(small(vision=name), message)

    def offline(*_: Any, **__: Any) -> str:
        raise LocalEntryNotFoundError("cannot reach the Hub\nand no copy here")

    monkeypatch.setattr("m3att.download.why_away", lambda *_: "cannot reach the Hub")
    monkeypatch.setattr("huggingface_hub.snapshot_download", offline)
    refused(small(vision="microsoft/swin-base"), r"neither a folder here nor to be had from the Hub \(cannot reach")


def test_from_the_hub_come_no_pickles(checkpoints: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    def download(name: str, allow_patterns: list[str], local_files_only: bool) -> str:
        asked.update(name=name, patterns=allow_patterns)
        return str(checkpoints / "swin")

    monkeypatch.setattr("m3att.download.why_away", lambda *_: None)
    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    assert find_folder("microsoft/swin-base") == checkpoints / "swin"
    assert asked == {"name": "microsoft/swin-base", "patterns": list(WANTED)}
    assert not any(pattern.endswith((".bin", ".pkl", ".pt", ".py")) or pattern.startswith("*") for pattern in WANTED)


def refused(config: ModelConfig, message: str) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        built(config)
    assert len(str(caught.value).splitlines()) == 1


def test_the_whole_network_trains_and_its_folder_needs_nothing_else(
    checkpoints: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("m3att.data.shaperef.source._TEXT_SCENES", 40)
    for kind in ("swin", "bert"):
        shutil.copytree(checkpoints / kind, tmp_path / kind)
    model = small(tmp_path / "swin", tmp_path / "bert")
    model = replace(model, vision=replace(model.vision, freeze=True))
    settings = TrainConfig(
        batch_size=6, steps=1, learning_rate=1e-3, warmup=0, device="cpu", workers=0, threads=1, validate_images=1,
        save_every=1, tracked_images=0,
    )  # fmt: skip
    run = RunConfig(model=model, input=InputConfig(size=48, resize="stretch"), train=settings)
    folder = train(run, tmp_path / "run")
    trained, fresh = load_file(folder / "model.safetensors"), built(model)[0].state_dict()
    for name in ("swin", "bert"):
        shutil.rmtree(tmp_path / name)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    fixed = [key for key in fresh if key.startswith("vision.backbone.trunk.")]
    assert fixed and all(torch.equal(trained[key], fresh[key]) for key in fixed)
    learned = [key for key in fresh if key.startswith(("language.trunk.encoder", "vision.merge"))]
    assert any(not torch.equal(trained[key], fresh[key]) for key in learned)

    loaded = load_model(folder)
    assert loaded.network.state_dict().keys() == trained.keys() == fresh.keys()
    image = np.random.default_rng(0).integers(0, 256, (37, 61, 3), dtype=np.uint8)
    masks = [p.mask for p in Segmenter.from_pretrained(str(folder)).encode(image).segment(["the red box", "a circle"])]
    assert [mask.shape for mask in masks] == [(37, 61)] * 2

    longer = replace(run, train=replace(settings, steps=2))
    assert train(longer, tmp_path / "run", resume=True) == folder  # from the run's own folder alone
    again = replace(run, train=replace(settings, init=str(folder), learning_rate=0.0))
    second = train(again, tmp_path / "second")
    for name in ("vision.json", "language.json", "tokenizer.json"):
        assert (second / name).read_bytes() == (folder / name).read_bytes()

    for name, message in (("vision.json", "has no vision.json"), ("language.json", "has no language.json")):
        content = (second / name).read_bytes()
        for broken in (None, b"{", b"[]", b"{}"):
            (second / name).unlink(missing_ok=True)
            if broken is not None:
                (second / name).write_bytes(broken)
            with pytest.raises(ModelError, match=message if broken is None else f"{name}: not the architecture"):
                load_model(second)
        (second / name).write_bytes(content)
