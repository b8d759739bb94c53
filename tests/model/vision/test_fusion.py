"""Early fusion against loops over expressions and positions, alone and inside each kind of backbone."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from m3att.model.grid import Grid
from m3att.model.vision.contract import VisionBackbone
from m3att.model.vision.darknet53 import Darknet53
from m3att.model.vision.encoder import VisionEncoder
from m3att.model.vision.fusion import EarlyFusion
from m3att.model.vision.merge import choose_grid
from m3att.model.vision.tiny import TinyConvNet

from ..inputs import settled
from ..literal import batch_norm, linear, relu

INDEX = torch.tensor([1, 0, 1])  # three expressions over two images


def small_swin() -> VisionBackbone:
    pytest.importorskip("transformers")
    from m3att.model.vision.auto_backbone import HuggingFaceBackbone

    return HuggingFaceBackbone(
        {"model_type": "swin", "embed_dim": 4, "depths": [1] * 4, "num_heads": [1] * 4, "window_size": 2,
         "image_size": 64}
    )  # fmt: skip


def small_vit() -> VisionBackbone:
    pytest.importorskip("transformers")
    from m3att.model.vision.auto_backbone import HuggingFaceBackbone

    return HuggingFaceBackbone(
        {"model_type": "dinov2", "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "patch_size": 14,
         "image_size": 28}
    )  # fmt: skip


MAKERS = {
    "tiny": lambda: TinyConvNet((4, 8), (0, 0)),
    "darknet53": lambda: Darknet53((2, 3, 4, 5, 6, 7), (0, 0, 0, 1, 0)),
    "swin": small_swin,
    "one scale of transformers": small_vit,
}


@pytest.fixture(params=MAKERS)
def backbone(request: pytest.FixtureRequest) -> VisionBackbone:
    made: VisionBackbone = MAKERS[request.param]()
    return made


def encoder_of(backbone: VisionBackbone, **options: Any) -> VisionEncoder:
    grid = Grid(64, 64, backbone.strides[choose_grid(backbone.strides)])
    return VisionEncoder(backbone, 8, grid, 1, heads=2, feedforward=2, early_fusion=True, **options)


def literal_fusion(module: EarlyFusion, coarse_BCHW: Tensor, sentence_NC: Tensor) -> Tensor:
    """ReLU(BN(map * ReLU(BN(W sentence)))) at every position of every expression's image."""
    maps = []
    for n, image in enumerate(INDEX.tolist()):
        gate = linear(sentence_NC[n].tolist(), module.sentence)
        rows = coarse_BCHW[image].flatten(1).T.tolist()
        fused = [
            relu(batch_norm([value * opened for value, opened in zip(row, gate, strict=True)], module.norm))
            for row in rows
        ]
        maps.append(torch.tensor(fused, dtype=torch.float64).T.unflatten(1, coarse_BCHW.shape[2:]))
    return torch.stack(maps)


def test_it_is_the_literal_product() -> None:
    module = settled(EarlyFusion(5, 8))
    coarse_BCHW = torch.randn(2, 5, 2, 3, dtype=torch.float64)
    sentence_NC = torch.randn(3, 8, dtype=torch.float64)
    expected_NCHW = literal_fusion(module, coarse_BCHW, sentence_NC)
    assert expected_NCHW.any() and not expected_NCHW.all()
    torch.testing.assert_close(module(coarse_BCHW, sentence_NC, INDEX), expected_NCHW, rtol=1e-9, atol=1e-10)


def test_it_enters_the_coarsest_map_before_the_merge(backbone: VisionBackbone) -> None:
    encoder = settled(encoder_of(backbone))
    assert encoder.fusion is not None
    sentence_NC = torch.randn(3, 8, dtype=torch.float64)
    maps = encoder.backbone_maps(torch.randn(2, 3, 64, 64, dtype=torch.float64))
    grid = Grid(64, 64, encoder.stride)
    found_NPC = encoder.fuse(maps, grid, sentence_NC, INDEX)
    fused_NCHW = literal_fusion(encoder.fusion, maps[-1].detach(), sentence_NC)
    for n, image in enumerate(INDEX.tolist()):  # each expression alone, as if it had its image for itself
        alone = [*(map_BCHW[image : image + 1] for map_BCHW in maps[:-1]), fused_NCHW[n : n + 1]]
        expected_BPC = encoder.finish(alone, grid)
        # Positions and the library's kernels are float32.
        torch.testing.assert_close(found_NPC[n : n + 1], expected_BPC, rtol=1e-5, atol=1e-6)
    assert (found_NPC[0] - found_NPC[2]).abs().max() > 1e-6  # one image, two sentences; far over float64's rounding


def test_a_frozen_backbone_leaves_merge_and_fusion_free(backbone: VisionBackbone) -> None:
    encoder = encoder_of(backbone, freeze=True).train()
    assert not any(part.training for part in encoder.backbone.modules())
    maps = encoder.backbone_maps(torch.randn(2, 3, 64, 64))
    assert not any(map_BCHW.requires_grad for map_BCHW in maps)
    vis_NPC = encoder.fuse(maps, Grid(64, 64, encoder.stride), torch.randn(3, 8), INDEX)
    (vis_NPC * torch.randn_like(vis_NPC)).sum().backward()
    frozen = {id(weight) for weight in encoder.backbone.parameters()}
    for name, weight in encoder.named_parameters():
        if id(weight) in frozen:
            assert not weight.requires_grad and weight.grad is None, name
        else:
            assert weight.grad is not None and weight.grad.any(), name


def test_every_weight_learns(backbone: VisionBackbone) -> None:
    encoder = encoder_of(backbone).double().train()
    sentence_NC = torch.randn(3, 8, dtype=torch.float64).requires_grad_()
    maps = encoder.backbone_maps(torch.randn(2, 3, 64, 64, dtype=torch.float64))
    vis_NPC = encoder.fuse(maps, Grid(64, 64, encoder.stride), sentence_NC, INDEX)
    (vis_NPC * torch.randn_like(vis_NPC)).sum().backward()
    dead = [name for name, weight in encoder.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert dead == []
    assert sentence_NC.grad is not None and sentence_NC.grad.any()


def test_one_expression_over_one_position_trains() -> None:
    module = EarlyFusion(4, 8).train()
    fused_NCHW = module(torch.randn(1, 4, 1, 1), torch.randn(1, 8), torch.tensor([0]))
    assert fused_NCHW.shape == (1, 4, 1, 1) and fused_NCHW.isfinite().all()


def test_an_encoder_without_it_has_no_weights_for_it_and_says_so() -> None:
    grid = Grid(16, 16, 4)
    encoder = VisionEncoder(TinyConvNet((4, 8), (0, 0)), 8, grid, 1, heads=2)
    assert encoder.fusion is None and not [name for name in encoder.state_dict() if "fusion" in name]
    with pytest.raises(ValueError, match="without early fusion"):
        encoder.fuse(encoder.backbone_maps(torch.randn(1, 3, 16, 16)), grid, torch.randn(1, 8), torch.tensor([0]))
