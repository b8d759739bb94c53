"""Fused attention gives what PyTorch's own layer gives."""

from __future__ import annotations

import torch
from torch import nn

from m3att.model.vision.encoder_layer import EncoderLayer


def layers() -> tuple[EncoderLayer, nn.TransformerEncoderLayer]:
    torch.manual_seed(0)
    own, other = (kind(16, 4, 32, batch_first=True) for kind in (EncoderLayer, nn.TransformerEncoderLayer))
    other.load_state_dict(own.state_dict())  # the names are the same
    assert isinstance(own, EncoderLayer)
    return own, other


def test_in_float32_it_is_pytorchs_own_layer() -> None:
    own, other = (layer.eval() for layer in layers())
    features_BPC = torch.randn(2, 9, 16)
    with torch.inference_mode():
        assert torch.equal(own(features_BPC), other(features_BPC))


def test_in_lower_precision_it_differs_by_rounding() -> None:
    own, other = (layer.eval() for layer in layers())
    features_BPC = torch.randn(2, 9, 16)
    with torch.inference_mode():
        exact_BPC = other(features_BPC)
        with torch.autocast("cpu", torch.bfloat16):
            found_BPC, reference_BPC = own(features_BPC), other(features_BPC)
    error = (found_BPC - exact_BPC).abs().max()
    assert 0 < error <= 2 * (reference_BPC - exact_BPC).abs().max()


def test_training_is_pytorchs_own_too() -> None:
    own, other = layers()
    features_BPC = torch.randn(2, 9, 16)
    found = []
    for layer in (own, other):
        torch.manual_seed(1)  # dropout
        with torch.autocast("cpu", torch.bfloat16):
            layer(features_BPC).square().sum().backward()
        found.append([weight.grad for weight in layer.parameters()])
    assert all(torch.equal(one, two) for one, two in zip(*found, strict=True) if one is not None and two is not None)
