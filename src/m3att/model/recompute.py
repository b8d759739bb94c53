"""Training with less memory: layers are computed again in the backward pass (gradient checkpointing)."""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import nn
from torch.utils.checkpoint import checkpoint

from m3att.errors import ConfigError
from m3att.model.network import M3AttNet


def recompute_layers(network: M3AttNet) -> None:
    """Let a network keep only the inputs of its transformer layers for the backward pass.

    These are the layers of F_enc's encoder and, of the library transformers, the smallest parts that it can compute
    again. Layers with BatchNorm are left out: their running statistics would be updated twice.

    Args:
        network: gets the layers changed. The changes have an effect in training mode only.

    Raises:
        ConfigError: where it has no such layer.
    """
    network.vision.recompute = len(network.vision.layers) > 0
    layers = recomputable_layers(network)
    for layer in layers:
        layer.gradient_checkpointing = True
        layer._gradient_checkpointing_func = partial(checkpoint, use_reentrant=False)
    if not layers and not network.vision.recompute:
        raise ConfigError("train.recompute: the network has no transformer layer; leave the setting out")


def recomputed_layers(network: M3AttNet) -> list[nn.Module]:
    """The layers that training computes again.

    Args:
        network: as `recompute_layers` left it, or as it was built.
    """
    own = list(network.vision.layers) if network.vision.recompute else []
    return [*own, *(part for part in recomputable_layers(network) if part.gradient_checkpointing and part.training)]


def recomputable_layers(network: nn.Module) -> list[Any]:
    """The layers of the library transformers that can be computed again, and hold no other such layer.

    Args:
        network: with or without encoders of that library.
    """
    # The library marks these layers by an attribute of their class. Without its encoders it need not be installed.
    marked = [part for part in network.modules() if hasattr(type(part), "gradient_checkpointing")]
    return [
        part
        for part in marked
        if not any(inner is not part and hasattr(type(inner), "gradient_checkpointing") for inner in part.modules())
        and not any(isinstance(inner, nn.modules.batchnorm._BatchNorm) for inner in part.modules())
    ]
