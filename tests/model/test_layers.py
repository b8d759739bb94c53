"""The layers of each kind of encoder, in order, and what stands before and behind them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from m3att.model.architectures import make_config
from m3att.model.language.text_transformer import ARCHITECTURES as TEXT
from m3att.model.language.text_transformer import make_trunk
from m3att.model.layers import layers_behind, ordered_layers
from m3att.model.vision.auto_backbone import ARCHITECTURES, HuggingFaceBackbone
from m3att.model.vision.darknet53 import Darknet53
from m3att.model.vision.efficientnet_lite import EfficientNetLite

pytest.importorskip("transformers")


def built(kind: str) -> nn.Module:
    with torch.device("meta"):
        if kind == "bert-base":
            return make_trunk(make_config(TEXT["bert-base"]))
        if kind == "darknet53":
            return Darknet53()
        if kind.startswith("efficientnet"):
            return EfficientNetLite(kind.removeprefix("efficientnet-"))
        return HuggingFaceBackbone(ARCHITECTURES[kind])


@pytest.mark.parametrize(
    ("kind", "layers", "expected"),
    [
        (
            "swin-t",
            4,
            {
                "embeddings.patch_embeddings.projection.weight": 4,
                "encoder.layers.0.": 3,
                "encoder.layers.2.blocks.5.": 1,
                "encoder.layers.3.": 0,
                "hidden_states_norms.": 0,
            },
        ),
        ("convnext-t", 4, {"embeddings.": 4, "encoder.stages.0.": 3, "encoder.stages.3.": 0}),
        ("resnet-50", 4, {"embedder.": 4, "encoder.stages.1.": 2, "encoder.stages.3.": 0}),
        ("bert-base", 12, {"embeddings.": 12, "encoder.layer.0.": 11, "encoder.layer.11.": 0}),
        ("darknet53", 5, {"stem.": 5, "stages.0.": 4, "stages.4.": 0}),
        ("efficientnet-lite0", 7, {"stem.": 7, "blocks.0.": 6, "blocks.2.": 5, "blocks.14.": 1, "blocks.15.": 0}),
        ("efficientnet-lite2", 7, {"stem.": 7, "blocks.0.": 6, "blocks.1.": 5, "blocks.3.": 5, "blocks.4.": 4}),
    ],
)
def test_layers_are_counted_from_the_output(kind: str, layers: int, expected: dict[str, int]) -> None:
    encoder = built(kind)
    assert len(ordered_layers(encoder)) == layers
    found = layers_behind(encoder)
    assert found.keys() == {id(weight) for weight in encoder.parameters()}
    for part, count in expected.items():
        weights = [weight for name, weight in encoder.named_parameters() if part in f"{name}."]
        assert weights and {found[id(weight)] for weight in weights} == {count}, part


def test_an_encoder_without_a_list_is_one_layer() -> None:
    encoder = nn.Linear(2, 3)
    assert set(layers_behind(encoder).values()) == {0}
