"""The mask decoder's convolutions and upsampling, against the same layers one after the other."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from m3att.engine.costs import saved_bytes
from m3att.model import upsampling
from m3att.model.upsampling import UpsamplingStack, enlarged_moments

from .inputs import settled


def test_the_papers_stack_is_four_1x1_convolutions_512_wide_with_2x_upsampling_between() -> None:
    stack = UpsamplingStack(15, 512, 3, kernel=1)
    assert [type(part) for part in stack] == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.Upsample] * 3 + [nn.Conv2d]
    convolutions = [part for part in stack if isinstance(part, nn.Conv2d)]
    assert [(part.in_channels, part.out_channels) for part in convolutions] == [(15, 512), *[(512, 512)] * 2, (512, 1)]
    assert {part.kernel_size for part in convolutions} == {(1, 1)}
    assert {part.scale_factor for part in stack if isinstance(part, nn.Upsample)} == {2.0}
    assert stack(torch.randn(1, 15, 2, 3)).shape == (1, 1, 16, 24)


def test_a_unit_may_have_two_convolutions() -> None:
    stack = settled(UpsamplingStack(5, 8, upsamplings=2, kernel=1, narrowing=2, unit_convolutions=2)).eval()
    unit = [nn.Conv2d, nn.BatchNorm2d, nn.ReLU] * 2 + [nn.Upsample]
    assert [type(part) for part in stack] == [*unit, *unit, nn.Conv2d]
    convolutions = [part for part in stack if isinstance(part, nn.Conv2d)]
    shapes = [(part.in_channels, part.out_channels) for part in convolutions]
    assert shapes == [(5, 8), (8, 8), (8, 4), (4, 4), (4, 1)]
    maps_NFHW = torch.randn(2, 5, 4, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(stack(maps_NFHW), nn.Sequential.forward(stack, maps_NFHW))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("grid", [(1, 1), (3, 5), (8, 8)])
@pytest.mark.parametrize("narrowing", [1, 2])
def test_convolving_before_enlarging_changes_nothing(training: bool, grid: tuple[int, int], narrowing: int) -> None:
    stack = UpsamplingStack(5, 8, upsamplings=3, kernel=1, narrowing=narrowing).double()
    settled(stack).train(training)
    plain = copy.deepcopy(stack)
    maps_NFHW = torch.randn(3, 5, *grid, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    ours, given = maps_NFHW.clone().requires_grad_(), maps_NFHW.clone().requires_grad_()
    made, expected = stack(ours), nn.Sequential.forward(plain, given)
    assert made.shape == (3, 1, 8 * grid[0], 8 * grid[1])
    torch.testing.assert_close(made, expected)
    weights = torch.randn(made.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    (made * weights).sum().backward()
    (expected * weights).sum().backward()
    torch.testing.assert_close(ours.grad, given.grad)
    for (name, one), other in zip(stack.named_parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, msg=name)
    for (name, one), other in zip(stack.named_buffers(), plain.buffers(), strict=True):
        torch.testing.assert_close(one, other, msg=name)


def test_a_kernel_that_sees_neighbours_runs_after_enlarging() -> None:
    stack = settled(UpsamplingStack(5, 8, upsamplings=2, kernel=3)).eval()
    maps_NFHW = torch.randn(2, 5, 4, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(stack(maps_NFHW), nn.Sequential.forward(stack, maps_NFHW))


def test_a_stack_may_narrow_and_see_neighbours() -> None:
    stack = UpsamplingStack(6, 8, 2, kernel=3, narrowing=4)
    convolutions = [part for part in stack if isinstance(part, nn.Conv2d)]
    assert [(part.in_channels, part.out_channels) for part in convolutions] == [(6, 8), (8, 2), (2, 1)]
    assert {part.kernel_size for part in convolutions} == {(3, 3)}
    assert stack(torch.randn(1, 6, 2, 3)).shape == (1, 1, 8, 12)


@pytest.mark.parametrize("size", [(1, 1), (1, 2), (2, 1), (3, 5)])
def test_moments_of_an_enlarged_map_are_those_that_batchnorm_takes(size: tuple[int, int]) -> None:
    maps_NCHW = 3 + torch.randn(2, 4, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    enlarged = functional.interpolate(maps_NCHW, scale_factor=2, mode="bilinear", align_corners=False)
    count, centred_NCHW, mean_C, variance_C = enlarged_moments(maps_NCHW)
    assert count == enlarged[:, 0].numel()
    torch.testing.assert_close(mean_C, enlarged.mean(dim=(0, 2, 3)))
    torch.testing.assert_close(variance_C, enlarged.var(dim=(0, 2, 3), correction=0))
    torch.testing.assert_close(centred_NCHW + mean_C.view(-1, 1, 1), maps_NCHW)


def test_a_few_expressions_at_a_time_give_what_all_at_once_give(monkeypatch: pytest.MonkeyPatch) -> None:
    stack = settled(UpsamplingStack(5, 8, upsamplings=3, kernel=1)).double().train()
    maps_NFHW = torch.randn(5, 5, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = []
    for numbers in (1, 2 * 8 * 6 * 8 * 4, 10**9):  # one, some and all expressions
        monkeypatch.setattr(upsampling, "NUMBERS_AT_ONCE", numbers)
        one, given = copy.deepcopy(stack), maps_NFHW.clone().requires_grad_()
        made = one(given)
        made.square().sum().backward()
        found.append([made, given.grad, *(weight.grad for weight in one.parameters()), *one.buffers()])
    for other in found[1:]:
        torch.testing.assert_close(other, found[0])


def test_training_keeps_no_enlarged_map() -> None:
    stack = UpsamplingStack(5, 32, upsamplings=3, kernel=1).train()
    given = torch.randn(2, 5, 8, 8, requires_grad=True)
    with saved_bytes([*stack.parameters(), *stack.buffers()]) as kept:
        stack(given)
    enlarged = 4 * 2 * 32 * 32 * 32  # bytes of one map at four times the grid's side
    with saved_bytes([*stack.parameters(), *stack.buffers()]) as plain:
        nn.Sequential.forward(stack, given)
    assert sum(kept.values()) < enlarged < 0.2 * sum(plain.values())
    assert max(kept.values()) <= enlarged / 4


def test_bfloat16_trains_with_statistics_in_float32() -> None:
    stack = UpsamplingStack(5, 8, upsamplings=3, kernel=1).train()
    plain = copy.deepcopy(stack)
    maps_NFHW = torch.randn(4, 5, 6, 6, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        made = stack(maps_NFHW)
    made.float().square().mean().backward()
    plain(maps_NFHW).square().mean().backward()
    for (name, one), other in zip(stack.named_parameters(), plain.parameters(), strict=True):
        assert (one.grad - other.grad).norm() <= 0.15 * other.grad.norm(), name
    for (name, one), other in zip(stack.named_buffers(), plain.buffers(), strict=True):
        torch.testing.assert_close(one, other, rtol=0.02, atol=0.02, msg=name)
