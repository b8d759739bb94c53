"""The vision half: projection, the sine code once, the transformer layers, and the frozen backbone."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from m3att.model.grid import Grid
from m3att.model.layers import layers_behind, ordered_layers
from m3att.model.norm import Projection
from m3att.model.position import encode_grid
from m3att.model.vision.encoder import VisionEncoder
from m3att.model.vision.tiny import TinyConvNet


def make(layers: int = 2, freeze: bool = False, dropout: float = 0.0, **kept: int) -> VisionEncoder:
    backbone = TinyConvNet((4, 8), (0, 0))
    return VisionEncoder(
        backbone, 16, Grid(32, 32, 4), layers, heads=2, feedforward=2, dropout=dropout, freeze=freeze, **kept
    )


@pytest.mark.parametrize("size", [(32, 32), (48, 20), (33, 30)])
def test_f_enc_has_one_row_a_position(size: tuple[int, int]) -> None:
    vis_BPC, grid, _ = make().eval()(torch.randn(2, 3, *size))
    assert grid == Grid(*size, 4)
    assert grid.cells == (-(-size[0] // 4), -(-size[1] // 4))
    assert vis_BPC.shape == (2, grid.cells[0] * grid.cells[1], 16)


def test_each_backbone_gets_pixels_as_its_own_numbers_say() -> None:
    encoder, seen = make().eval(), []
    backbone = TinyConvNet((4, 8), (0, 0))
    backbone.pixel_mean, backbone.pixel_std = (127.0, 100.0, 0.0), (128.0, 50.0, 255.0)
    other = VisionEncoder(backbone, 16, Grid(32, 32, 4), 0, heads=2)
    for made in (encoder, other):
        made.backbone.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
        made.backbone_maps(torch.full((1, 3, 8, 8), 255, dtype=torch.uint8))
    torch.testing.assert_close(seen[0][0, :, 0, 0], torch.tensor([2.2489, 2.4286, 2.64]), rtol=0, atol=1e-4)
    torch.testing.assert_close(seen[1][0, :, 0, 0], torch.tensor([1.0, 3.1, 1.0]))
    assert not [name for name in other.state_dict() if "pixel" in name]  # what the backbone says of itself is no weight


def test_without_layers_it_is_projection_and_sine_code() -> None:
    encoder = make(layers=0).eval()
    pixels_BCHW = torch.randn(2, 3, 32, 48)
    vis_BPC, grid, _ = encoder(pixels_BCHW)
    height, width = grid.cells
    (features_BCHW,) = encoder.backbone_maps(pixels_BCHW)
    code_PC = encode_grid(Grid(32, 48, 4), 16, Grid(32, 32, 4), torch.device("cpu"))
    for row in range(height):
        for column in range(width):
            projected_BC = encoder.projection(features_BCHW[:, :, row, column])
            place = row * width + column  # positions run along rows
            torch.testing.assert_close(vis_BPC[:, place], projected_BC + code_PC[place])
    assert isinstance(encoder.projection, Projection)


def test_each_transformer_layer_is_post_norm_attention_and_feed_forward() -> None:
    encoder = make(layers=1)
    (layer,) = encoder.layers
    assert isinstance(layer, nn.TransformerEncoderLayer) and not layer.norm_first
    vis_BPC = torch.randn(2, 6, 16)
    attended_BPC, _ = layer.self_attn(vis_BPC, vis_BPC, vis_BPC)
    middle_BPC = layer.norm1(vis_BPC + attended_BPC)
    expected_BPC = layer.norm2(middle_BPC + layer.linear2(torch.relu(layer.linear1(middle_BPC))))
    torch.testing.assert_close(layer(vis_BPC), expected_BPC)
    with torch.inference_mode():  # PyTorch's fast path
        torch.testing.assert_close(layer.eval()(vis_BPC), expected_BPC, rtol=1e-4, atol=1e-5)


def test_the_layers_follow_one_another() -> None:
    deep, pixels_BCHW = make(layers=2).eval(), torch.randn(1, 3, 32, 32)
    shallow = make(layers=0).eval()
    shallow.load_state_dict({name: v for name, v in deep.state_dict().items() if not name.startswith("layers.")})
    vis_BPC, _, _ = shallow(pixels_BCHW)
    for layer in deep.layers:
        vis_BPC = layer(vis_BPC)
    torch.testing.assert_close(deep(pixels_BCHW)[0], vis_BPC)


def test_every_position_hears_of_every_other() -> None:
    encoder = make(layers=1).eval()
    pixels_BCHW = torch.randn(1, 3, 32, 32)
    changed_BCHW = pixels_BCHW.clone()
    changed_BCHW[:, :, :8, :8] += 2
    change_P = (encoder(changed_BCHW)[0] - encoder(pixels_BCHW)[0]).abs().amax(dim=(0, 2))
    assert (change_P > 1e-5).all()


def test_a_frozen_backbone_is_fixed_in_evaluation_mode_and_out_of_the_graph() -> None:
    encoder = make(freeze=True)
    for mode in (encoder, encoder.train(), encoder.eval().train()):
        assert mode.training and mode.projection.norm.training
        assert not any(part.training for part in mode.backbone.modules())
    before = {name: value.clone() for name, value in encoder.backbone.state_dict().items()}
    vis_BPC, _, _ = encoder(torch.randn(2, 3, 32, 32))
    vis_BPC.square().sum().backward()
    assert all(torch.equal(value, before[name]) for name, value in encoder.backbone.state_dict().items())
    assert all(not weight.requires_grad and weight.grad is None for weight in encoder.backbone.parameters())
    assert encoder.projection.linear.weight.grad is not None


def test_a_free_backbone_learns_and_follows_the_mode() -> None:
    encoder = make()
    assert all(part.training for part in encoder.modules())
    assert not any(part.training for part in encoder.eval().modules())
    vis_BPC, _, _ = encoder.train()(torch.randn(2, 3, 32, 32))
    (vis_BPC * torch.randn_like(vis_BPC)).sum().backward()
    assert all(weight.grad is not None and weight.grad.any() for weight in encoder.backbone.parameters())


def changed_in_training(encoder: VisionEncoder) -> set[str]:
    """Which weights and statistics of the backbone a step changes."""
    before = {name: value.clone() for name, value in encoder.backbone.state_dict().items()}
    optimizer = torch.optim.SGD([weight for weight in encoder.parameters() if weight.requires_grad], lr=0.1)
    vis_BPC, _, _ = encoder.eval().train()(torch.randn(2, 3, 32, 32))
    (vis_BPC * torch.randn_like(vis_BPC)).sum().backward()
    optimizer.step()
    return {name for name, value in encoder.backbone.state_dict().items() if not torch.equal(value, before[name])}


@pytest.mark.parametrize("number", [0, 1, 2, 9])
def test_the_first_layers_can_be_kept_and_the_others_learn(number: int) -> None:
    encoder = make(freeze_layers=number)
    behind = layers_behind(encoder.backbone)
    learning = max(0, len(ordered_layers(encoder.backbone)) - number) if number else 10
    expected = {name for name, weight in encoder.backbone.named_parameters() if behind[id(weight)] < learning}
    changed = changed_in_training(encoder)
    names = {name for name, _ in encoder.backbone.named_parameters()}
    assert changed & names == expected
    # A norm whose weights are kept keeps its statistics too.
    kept = {name.rpartition(".")[0] for name in changed - names}
    assert all(f"{norm}.weight" in expected for norm in kept)
    assert bool(kept) == bool(expected)


def test_norms_can_be_kept_while_convolutions_learn() -> None:
    encoder = make(freeze_norm=True)
    norms = {name for name, part in encoder.backbone.named_modules() if isinstance(part, torch.nn.BatchNorm2d)}
    assert norms
    changed = changed_in_training(encoder)
    assert changed and not any(name.rpartition(".")[0] in norms for name in changed)
    assert encoder.training and encoder.projection.norm.training


def test_no_gradient_is_kept_where_none_is_wanted() -> None:
    encoder = make()
    with torch.no_grad():
        assert not encoder(torch.randn(1, 3, 32, 32))[0].requires_grad
    assert encoder(torch.randn(1, 3, 32, 32))[0].requires_grad


def test_dropout_is_for_training() -> None:
    encoder, pixels_BCHW = make(dropout=0.5, freeze=True), torch.randn(1, 3, 32, 32)
    assert not torch.equal(encoder(pixels_BCHW)[0], encoder(pixels_BCHW)[0])
    encoder.eval()
    assert torch.equal(encoder(pixels_BCHW)[0], encoder(pixels_BCHW)[0])
