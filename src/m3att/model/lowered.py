"""A network for use in lower precision, whose matrices are rounded once instead of at every call."""

from __future__ import annotations

import copy

import torch
from torch import nn

from m3att.model.network import M3AttNet


def lowered(network: M3AttNet, dtype: torch.dtype) -> M3AttNet:
    """A copy of a network with the weights of its linear layers in a lower precision, for use under autocast.

    Autocast rounds the weights of every layer at every call: 175 million numbers for one expression of Swin-B and BERT.
    The copy holds them rounded, so its output is the same. Only linear layers are changed, which have nearly all of the
    weights. Convolutions are rounded after they took BatchNorm in. Norms and recurrent networks keep their precision.

    Args:
        network: in evaluation mode; is not changed.
        dtype: such as bfloat16.

    Returns:
        The copy. Its weights cannot be trained.
    """
    copied = copy.deepcopy(network).requires_grad_(False)
    # Of these PyTorch takes another path if their weights have another type than the words.
    kept = {id(part.out_proj) for part in copied.modules() if isinstance(part, nn.MultiheadAttention)}
    for part in copied.modules():
        if isinstance(part, nn.Linear) and id(part) not in kept:
            part.to(dtype)
    return copied
