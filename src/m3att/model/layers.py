"""The layers of an encoder in their order, for learning rates that fall from layer to layer."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from m3att.model.vision.contract import VisionBackbone


def ordered_layers(encoder: nn.Module) -> Sequence[nn.Module]:
    """The layers or stages of an encoder, from input to output.

    A backbone may name them itself (`VisionBackbone.layer_order`). Of any other, they are the outermost list of modules
    with more than one entry: the stages of Swin, ConvNeXt, ResNet and Darknet-53, the layers of BERT and of a ViT.

    Args:
        encoder: a backbone, or the trunk of a text encoder.

    Returns:
        The layers; the encoder itself where it has no such list.
    """
    named = encoder.layer_order() if isinstance(encoder, VisionBackbone) else None
    if named is not None:
        return named
    for part in encoder.modules():
        if isinstance(part, nn.ModuleList | nn.Sequential) and len(part) > 1:
            return list(part)
    return [encoder]


def layers_behind(encoder: nn.Module) -> dict[int, int]:
    """How many layers come after each weight of an encoder, by the weight's `id`.

    It is the number of all layers for what stands before the first, such as word vectors and the first convolution. It
    is 0 for the last layer and for what follows, such as norms of the output.

    Args:
        encoder: see `ordered_layers`.
    """
    layers = ordered_layers(encoder)
    inside = {
        id(weight): len(layers) - number
        for number, layer in enumerate(layers, start=1)
        for weight in layer.parameters()
    }
    found: dict[int, int] = {}
    outside = len(layers)
    for weight in encoder.parameters():
        if id(weight) in inside:
            outside = 0  # what comes from now on and is in no layer follows the layers
        found[id(weight)] = inside.get(id(weight), outside)
    return found
