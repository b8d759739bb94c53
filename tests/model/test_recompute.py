"""Layers that are computed again give the gradients of layers that are kept, and need less memory."""

from __future__ import annotations

import copy
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from m3att.config import LanguageConfig, MaskDecoderConfig, ModelConfig, RunConfig, VisionConfig
from m3att.engine.costs import estimate_memory
from m3att.engine.start import build
from m3att.errors import ConfigError
from m3att.model.architectures import Architectures
from m3att.model.build import build_network
from m3att.model.network import M3AttNet
from m3att.model.recompute import recompute_layers, recomputed_layers

SIDE, WORDS = 64, 20
SMALL = ModelConfig(channels=16, word_limit=4, mask=MaskDecoderConfig(channels=8, upsamplings=1))


def swin_and_bert() -> M3AttNet:
    transformers = pytest.importorskip("transformers")
    swin = transformers.SwinConfig(
        image_size=SIDE, embed_dim=8, depths=[2, 2, 2, 2], num_heads=[2, 2, 2, 2], window_size=4, drop_path_rate=0.5
    )
    bert = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    ids = {"pad_token_id": 0, "unk_token_id": 1, "bos_token_id": 2, "eos_token_id": 3}
    architectures = Architectures(swin.to_diff_dict(), {"model_type": "bert", "vocab_size": WORDS, **bert, **ids})
    model = ModelConfig(
        channels=16,
        word_limit=4,
        vision=VisionConfig(encoder="huggingface"),
        language=LanguageConfig(encoder="huggingface"),
        mask=MaskDecoderConfig(channels=8, upsamplings=1),
    )
    return build_network(model, SIDE, WORDS, architectures=architectures)


def gradients(network: M3AttNet) -> list[Tensor | None]:
    generator = torch.Generator().manual_seed(1)
    pixels_BCHW = torch.randint(0, 256, (2, 3, SIDE, SIDE), dtype=torch.uint8, generator=generator)
    word_ids_NL = torch.randint(4, WORDS, (3, 4), generator=generator)
    torch.manual_seed(2)  # dropout and stochastic depth draw the same numbers
    words = (torch.tensor([0, 0, 1]), word_ids_NL, torch.ones_like(word_ids_NL, dtype=torch.bool))
    network(pixels_BCHW, *words, reconstruct=True).mask_logits_NHW.square().mean().backward()
    return [weight.grad for weight in network.parameters()]


def test_gradients_stay_the_same_with_dropout_and_stochastic_depth() -> None:
    network = swin_and_bert().train()
    other = copy.deepcopy(network)
    recompute_layers(other)
    assert len(recomputed_layers(other)) == 8 + 2 + 2 and not recomputed_layers(network)
    for one, again in zip(gradients(network), gradients(other), strict=True):
        torch.testing.assert_close(again, one)
    for one, again in zip(network.buffers(), other.buffers(), strict=True):
        torch.testing.assert_close(again, one)


def test_every_layer_runs_twice_in_a_step_and_once_in_evaluation() -> None:
    network = swin_and_bert().train()
    recompute_layers(network)
    runs: list[int] = []
    for layer in recomputed_layers(network):
        norm = next(part for part in layer.modules() if isinstance(part, torch.nn.LayerNorm))
        norm.register_forward_hook(lambda *_: runs.append(1))
    layers = len(recomputed_layers(network))
    gradients(network)
    assert len(runs) == 2 * layers
    gradients(network.eval())
    assert len(runs) == 3 * layers


def test_the_estimate_counts_what_is_kept() -> None:
    network, config = swin_and_bert().train(), RunConfig(model=SMALL)
    config = replace(config, input=replace(config.input, size=SIDE))
    whole = estimate_memory(network, config)
    recompute_layers(network)
    less = estimate_memory(network, config)
    assert 0 < less.per_image < 0.6 * whole.per_image
    assert less.per_expression < whole.per_expression
    assert less.weights == whole.weights


def test_a_network_without_such_layers_is_refused() -> None:
    model = replace(SMALL, vision=VisionConfig(widths=(8, 16), blocks=(0, 1), encoder_layers=0))
    with pytest.raises(ConfigError, match="no transformer layer"):
        recompute_layers(build_network(model, SIDE, WORDS))


@pytest.mark.parametrize("recompute", [True, False])
def test_the_setting_decides(recompute: bool) -> None:
    config = RunConfig(model=SMALL)
    config = replace(config, train=replace(config.train, recompute=recompute))
    words: Any = SimpleNamespace(size=WORDS)
    source: Any = None  # is asked for categories only, which this run does not learn
    network = build(config, source, words, Architectures())
    assert len(recomputed_layers(network)) == (2 if recompute else 0)
