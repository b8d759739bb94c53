"""Tiny checkpoints of transformers, in the true format since the library itself writes them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tokenizers.pre_tokenizers import ByteLevel

LETTERS = "abcdefghijklmnopqrstuvwxyz"
PIECES = (
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "red", "green", "blue", "circle", "box", "on", "left", "right",
    "##s", "##est", "##most", "cafe", "!", ",", "'", "-", *LETTERS,
    *(f"##{letter}" for letter in LETTERS if letter != "s"),
)  # fmt: skip
SIZES: dict[str, Any] = {
    "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24,
    "initializer_range": 0.2,
}  # fmt: skip


def make_vision(kind: str) -> Any:
    """A tiny model with random weights, with the head that checkpoints of its kind come with."""
    if kind == "swin":
        config = transformers.SwinConfig(
            embed_dim=8, depths=[1, 1, 2, 1], num_heads=[1, 1, 2, 2], window_size=4, image_size=64, drop_path_rate=0.0
        )
        return transformers.SwinForImageClassification(config)
    if kind == "convnext":
        return transformers.ConvNextForImageClassification(
            transformers.ConvNextConfig(depths=[1, 1, 1, 1], hidden_sizes=[4, 8, 8, 12], layer_scale_init_value=1.0)
        )
    if kind == "resnet":
        config = transformers.ResNetConfig(
            embedding_size=8, layer_type="basic", depths=[1, 1, 1, 1], hidden_sizes=[8, 8, 8, 12]
        )
        return transformers.ResNetForImageClassification(config)
    config = transformers.Dinov2Config(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, mlp_ratio=2, patch_size=14, image_size=70
    )
    return transformers.Dinov2Model(config)


def make_language(kind: str) -> Any:
    """The same of a text encoder; its vocabulary has place for the tokenizers below."""
    if kind == "bert":
        return transformers.BertForMaskedLM(transformers.BertConfig(vocab_size=300, **SIZES))
    if kind == "roberta":
        config = transformers.RobertaConfig(vocab_size=300, max_position_embeddings=40, **SIZES)
        return transformers.RobertaForMaskedLM(config)
    config = transformers.DistilBertConfig(vocab_size=300, dim=16, n_layers=2, n_heads=2, hidden_dim=24)
    return transformers.DistilBertForMaskedLM(config)


@pytest.fixture(scope="session")
def quiet_library() -> Iterator[None]:
    """The library's own reports are not ours to test."""
    before = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity(logging.ERROR)
    transformers.logging.disable_progress_bar()
    yield
    transformers.logging.set_verbosity(before)


@pytest.fixture(scope="session")
def checkpoints(quiet_library: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of tiny checkpoints, one a kind, as the library saves them."""
    root = tmp_path_factory.mktemp("checkpoints")
    with torch.random.fork_rng():
        torch.manual_seed(3)
        for kind in ("swin", "convnext", "resnet", "dinov2"):
            make_vision(kind).save_pretrained(root / kind)
        for kind in ("bert", "roberta", "distilbert"):
            make_language(kind).save_pretrained(root / kind)
    (root / "bert" / "vocab.txt").write_text("\n".join(PIECES) + "\n")
    transformers.DistilBertTokenizer(vocab={word: n for n, word in enumerate(PIECES)}).save_pretrained(
        root / "distilbert"
    )
    marks = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
    alphabet = sorted(ByteLevel.alphabet())
    bytes_of = {word: n for n, word in enumerate((*marks, *alphabet))}
    transformers.RobertaTokenizer(vocab=bytes_of, merges=[]).save_pretrained(root / "roberta")
    return root
