"""A network with rounded weights gives what autocast gives of the whole ones, and leaves those alone."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from m3att.config import MaskDecoderConfig, ModelConfig
from m3att.model.build import build_network
from m3att.model.lowered import lowered
from m3att.model.network import M3AttNet

SMALL = ModelConfig(channels=16, word_limit=4, mask=MaskDecoderConfig(channels=8, upsamplings=1))


def masks(network: M3AttNet) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    pixels_BCHW = torch.randint(0, 256, (1, 3, 64, 64), dtype=torch.uint8, generator=generator)
    word_ids_NL = torch.randint(4, 20, (2, 4), generator=generator)
    words = (torch.zeros(2, dtype=torch.int64), word_ids_NL, torch.ones_like(word_ids_NL, dtype=torch.bool))
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, cache_enabled=False):
        logits_NHW: Tensor = network(pixels_BCHW, *words).mask_logits_NHW.float()
    return logits_NHW


def test_rounded_weights_give_the_same_masks_and_the_network_stays_as_it_is() -> None:
    torch.manual_seed(0)
    network = build_network(SMALL, 64, 20).eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    low = lowered(network, torch.bfloat16)
    assert torch.equal(masks(low), masks(network))
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    assert all(tensor.dtype != torch.bfloat16 for tensor in network.parameters())


def test_linear_layers_are_rounded_and_norms_are_not() -> None:
    low = lowered(build_network(SMALL, 64, 20).eval(), torch.bfloat16)
    assert low.decoder.layers[0].mutual.word_key.weight.dtype == torch.bfloat16
    for part in low.modules():
        if isinstance(part, (nn.LayerNorm, nn.BatchNorm2d, nn.LSTM)):
            assert {weight.dtype for weight in part.parameters()} == {torch.float32}
    assert not any(weight.requires_grad for weight in low.parameters())
