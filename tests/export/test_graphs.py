"""The graphs give what PyTorch gives, for every form of network, any size of image and any number of words."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from m3att.backends.onnx import OnnxBackend
from m3att.backends.pytorch import TorchBackend
from m3att.config import DecoderConfig, LanguageConfig, MaskDecoderConfig, ModelConfig, VisionConfig
from m3att.encoders import VISION
from m3att.errors import ConfigError
from m3att.export.graphs import write_graphs
from m3att.model.architectures import Architectures
from m3att.model.build import build_network
from m3att.model.network import M3AttNet
from m3att.model.norm import MaskedBatchNorm
from m3att.model.vision.darknet53 import Darknet53

WORDS, LIMIT = 30, 6
SWIN = {
    "model_type": "swin", "embed_dim": 8, "depths": [1, 1, 2, 1], "num_heads": [1, 1, 2, 2], "window_size": 2,
    "image_size": 96, "drop_path_rate": 0.0,
}  # fmt: skip
BERT = {
    "model_type": "bert", "vocab_size": WORDS, "max_position_embeddings": 16, "hidden_size": 16, "num_hidden_layers": 2,
    "num_attention_heads": 2, "intermediate_size": 24, "initializer_range": 0.2, "pad_token_id": 0, "unk_token_id": 1,
    "bos_token_id": 2, "eos_token_id": 3,
}  # fmt: skip


def small(vision: VisionConfig, language: LanguageConfig, mask_padding: bool, **mask: Any) -> ModelConfig:
    """A network of 16 channels with all parts of the large ones."""
    return ModelConfig(
        channels=16,
        word_limit=LIMIT,
        mask_padding=mask_padding,
        vision=vision,
        language=language,
        decoder=DecoderConfig(layers=2, heads=2, feedforward=2, fusion_vision=True),
        mask=MaskDecoderConfig(channels=8, upsamplings=1, **mask),
    )


LSTM, GRU = (LanguageConfig(word_channels=8, rnn=rnn) for rnn in ("lstm", "gru"))
# The forms of the presets: of the small network, of `photo`, and of the paper's two.
FORMS: dict[str, tuple[int, ModelConfig]] = {
    "tiny": (32, small(VisionConfig(widths=(8, 8), blocks=(0, 1), encoder_layers=1), LSTM, True)),
    "photo": (64, small(VisionConfig(encoder="efficientnet-lite0", map_strides=(4, 8, 16)), LSTM, False, kernel=3)),
    "skips": (
        64,
        replace(
            small(VisionConfig(encoder="efficientnet-lite0"), LSTM, False),
            mask=MaskDecoderConfig(channels=8, upsamplings=2, kernel=3, skip_strides=(8, 4), skip_channels=4),
        ),
    ),
    "darknet": (64, small(VisionConfig(encoder="darknet53"), GRU, True, kind="decoder_only")),
    "swin": (
        96,
        small(
            VisionConfig(encoder="huggingface", architecture="swin-t"),
            LanguageConfig(encoder="huggingface", architecture="bert-tiny"),
            True,
        ),
    ),
}


def build(form: str, monkeypatch: pytest.MonkeyPatch) -> tuple[int, M3AttNet]:
    """A network with random weights, none of them at a neutral start behind which a fault could hide."""
    side, config = FORMS[form]
    small = replace(VISION["darknet53"], build=lambda: Darknet53((4, 4, 8, 8, 12, 16), (1, 1, 1, 1, 1)))
    monkeypatch.setitem(VISION, "darknet53", small)
    torch.manual_seed(3)
    found = Architectures(SWIN, BERT) if form == "swin" else Architectures()
    network = build_network(config, side, WORDS, architectures=found).eval()
    with torch.no_grad():
        for weight in network.parameters():
            if weight.ndim > 1 and not weight.any():
                weight.normal_(std=0.2)
        for part in network.modules():
            if isinstance(part, MaskedBatchNorm | nn.BatchNorm2d):
                part.weight.uniform_(0.5, 1.5)
                part.bias.normal_(std=0.3)
                part.running_mean.normal_(std=0.3)
                part.running_var.uniform_(0.5, 2.0)
    return side, network


def expressions(count: int, words: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Expressions of 1 to ``words`` words."""
    mask_NL = np.arange(words)[None] < (words - np.arange(count) % words)[:, None]
    return np.random.default_rng(count).integers(4, WORDS, mask_NL.shape) * mask_NL, mask_NL


@pytest.mark.parametrize("form", FORMS)
def test_onnx_runtime_gives_what_pytorch_gives(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    side, network = build(form, monkeypatch)
    own = TorchBackend(copy.deepcopy(network), torch.device("cpu"))
    write_graphs(network, side, tmp_path / "encoder.onnx", tmp_path / "head.onnx")
    theirs = OnnxBackend(tmp_path / "encoder.onnx", tmp_path / "head.onnx", own.mask_stride)
    differ = pixels = 0
    for height, width in ((side, side), (side + 11, side - 21), (side + 1, 2 * side)):
        squares_BHWC = np.random.default_rng(height).integers(0, 256, (2, height, width, 3), dtype=np.uint8)
        ours, exported = own.encode(squares_BHWC), theirs.encode(squares_BHWC)
        for image, (count, words) in ((0, (1, 1)), (1, (2, LIMIT)), (0, (33, 4))):
            ids_NL, mask_NL = expressions(count, words)
            expected_NHW = own.segment(ours[image], ids_NL, mask_NL)
            found_NHW = theirs.segment(exported[image], ids_NL, mask_NL)
            assert found_NHW.shape == expected_NHW.shape and found_NHW.dtype == np.float32
            scale = float(np.abs(expected_NHW).max())
            np.testing.assert_allclose(found_NHW, expected_NHW, rtol=0, atol=1e-4 * max(1.0, scale))
            differ += int(((found_NHW > 0) != (expected_NHW > 0)).sum())
            pixels += found_NHW.size
    assert differ < 0.001 * pixels


def test_each_graph_is_one_file_of_the_named_opset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import onnx

    from m3att.export.graphs import OPSET

    side, network = build("tiny", monkeypatch)
    write_graphs(network, side, tmp_path / "encoder.onnx", tmp_path / "head.onnx")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["encoder.onnx", "head.onnx"]
    for name, inputs in (("encoder", ["pixels"]), ("head", ["features", "size", "word_ids", "word_mask"])):
        model = onnx.load(str(tmp_path / f"{name}.onnx"))
        onnx.checker.check_model(model)
        assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", OPSET)]
        session = onnxruntime.InferenceSession(str(tmp_path / f"{name}.onnx"))
        assert [put.name for put in session.get_inputs()] == inputs


def test_early_fusion_is_refused(tmp_path: Path) -> None:
    config = small(VisionConfig(widths=(8, 8), blocks=(0, 0), encoder_layers=1, early_fusion=True), LSTM, True)
    network = build_network(config, 32, WORDS).eval()
    with pytest.raises(ConfigError, match="early_fusion: the vision half needs an expression"):
        write_graphs(network, 32, tmp_path / "encoder.onnx", tmp_path / "head.onnx")


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_gates_of_every_kind_are_reordered(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The order that the standard of ONNX states, against the order that PyTorch's documentation states."""
    from m3att.export.traceable import GATES

    stated: dict[str, tuple[list[str], list[str]]] = {
        "LSTM": (["i", "f", "g", "o"], ["i", "o", "f", "g"]),
        "GRU": (["r", "z", "n"], ["z", "r", "n"]),
    }
    torchs, onnxs = stated[kind]
    assert [torchs[number] for number in GATES[kind]] == onnxs


def test_unfolded_graphs_hold_a_frozen_backbones_weights_by_name(tmp_path: Path) -> None:
    """Otherwise graphs that share the weights of a model folder would hold its backbone once more."""
    side, config = FORMS["photo"]
    network = build_network(replace(config, vision=replace(config.vision, freeze=True)), side, WORDS).eval()
    kernels = {name for name, _ in network.vision.backbone.named_parameters() if name.endswith("conv.weight")}
    write_graphs(network, side, tmp_path / "encoder.onnx", tmp_path / "head.onnx", fold=False)
    named = {tensor.name for tensor in onnx.load(str(tmp_path / "encoder.onnx")).graph.initializer}
    assert kernels and {f"vision.backbone.{name}" for name in kernels} <= named
