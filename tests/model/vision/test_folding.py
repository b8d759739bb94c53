"""A folded convolution is the convolution and its BatchNorm, and follows every change of theirs."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from m3att.model.vision.folding import FoldedConvolution


def settled(module: FoldedConvolution) -> FoldedConvolution:
    """With statistics and weights far from those of a fresh norm, in evaluation mode."""
    with torch.no_grad():
        for values in (module.norm.weight, module.norm.bias, module.norm.running_mean):
            values.normal_()
        module.norm.running_var.uniform_(0.5, 2)
    return module.eval()


def plain(module: FoldedConvolution, features_BCHW: Tensor, padding: int = 0) -> Tensor:
    """Convolution, then BatchNorm by its formula."""
    conv, norm = module.conv, module.norm
    made_BCHW = functional.conv2d(features_BCHW, conv.weight, None, conv.stride, padding, groups=conv.groups)
    mean, variance, weight, bias = (
        part.view(1, -1, 1, 1) for part in (norm.running_mean, norm.running_var, norm.weight, norm.bias)
    )
    return (made_BCHW - mean) / (variance + norm.eps).sqrt() * weight + bias


@pytest.fixture
def module() -> FoldedConvolution:
    return settled(FoldedConvolution(4, 6, 3, stride=2, groups=2, eps=1e-3).double())


@pytest.fixture
def features_BCHW() -> Tensor:
    return torch.randn(2, 4, 9, 8, dtype=torch.float64)


@pytest.mark.parametrize("frozen", [False, True])
def test_it_is_convolution_and_norm(module: FoldedConvolution, features_BCHW: Tensor, frozen: bool) -> None:
    module.requires_grad_(not frozen)
    expected_BCHW = plain(module, features_BCHW, padding=1)
    for grad in (False, True):
        with torch.set_grad_enabled(grad):
            found_BCHW = module.convolve(features_BCHW, (1, 1))
        torch.testing.assert_close(found_BCHW, expected_BCHW)
        assert found_BCHW.requires_grad == (grad and not frozen)
    assert module.folded is not None


def test_zeros_before_the_kernel_are_zeros_around_the_image(module: FoldedConvolution, features_BCHW: Tensor) -> None:
    """A kernel with a row of zeros above sees what it saw, one row further down."""
    with torch.no_grad():
        found_BCHW = module.convolve(features_BCHW, (1, 1), (1, 1))
        expected_BCHW = plain(module, functional.pad(features_BCHW, (0, 1, 0, 1)))
    torch.testing.assert_close(found_BCHW, expected_BCHW)
    module.train().norm.eval()
    torch.testing.assert_close(module.convolve(features_BCHW, (1, 1), (1, 1)), expected_BCHW)


def with_values(module: FoldedConvolution, change: Callable[[dict[str, Tensor]], None]) -> None:
    values = {name: value.clone() for name, value in module.state_dict().items()}
    change(values)
    module.load_state_dict(values)


def assigned(module: FoldedConvolution) -> None:
    other = settled(FoldedConvolution(4, 6, 3, stride=2, groups=2, eps=1e-3).double())
    module.load_state_dict(other.state_dict(), assign=True)


CHANGES: dict[str, Callable[[FoldedConvolution], object]] = {
    "load_state_dict": lambda m: with_values(m, lambda values: values["conv.weight"].mul_(2)),
    "load_state_dict that assigns": assigned,
    "statistics": lambda m: m.norm.running_mean.add_(1),
    "another parameter": lambda m: setattr(m.norm, "weight", nn.Parameter(torch.full((6,), 3.0).double())),
    "data": lambda m: setattr(m.conv.weight, "data", m.conv.weight.data * 2),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_noticed(module: FoldedConvolution, features_BCHW: Tensor, change: str) -> None:
    with torch.no_grad():
        before_BCHW = module(features_BCHW)
        CHANGES[change](module)
        after_BCHW = module(features_BCHW)
    torch.testing.assert_close(after_BCHW, plain(module, features_BCHW))
    assert (after_BCHW - before_BCHW).abs().max() > 1e-3


def test_an_optimisers_step_and_new_statistics_are_noticed(module: FoldedConvolution, features_BCHW: Tensor) -> None:
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    for _ in range(2):
        with torch.no_grad():
            torch.testing.assert_close(module.eval()(features_BCHW), plain(module, features_BCHW))
        module.train()(features_BCHW).square().sum().backward()
        optimizer.step()
    with torch.no_grad():
        torch.testing.assert_close(module.eval()(features_BCHW), plain(module, features_BCHW))


def test_it_is_made_once(module: FoldedConvolution, features_BCHW: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[torch.dtype] = []
    make = module.make
    monkeypatch.setattr(module, "make", lambda dtype, lead: made.append(dtype) or make(dtype, lead))
    with torch.no_grad():
        for _ in range(3):
            module(features_BCHW)
            with torch.autocast("cpu", torch.bfloat16):
                assert module(features_BCHW.float()).dtype == torch.bfloat16
    assert made == [torch.float64, torch.bfloat16]


def test_another_type_and_a_copy_have_their_own(module: FoldedConvolution, features_BCHW: Tensor) -> None:
    with torch.no_grad():
        expected_BCHW = module(features_BCHW)
        other = copy.deepcopy(module)
        other.norm.running_mean.add_(1)
        assert not torch.equal(other(features_BCHW), expected_BCHW)
        assert torch.equal(module(features_BCHW), expected_BCHW)
        assert module.float()(features_BCHW.float()).dtype == torch.float32


def test_weights_of_inference_mode_are_folded_anew_each_time(features_BCHW: Tensor) -> None:
    with torch.inference_mode():
        module = settled(FoldedConvolution(4, 6, 3).double())
        module(features_BCHW)
        module.norm.running_mean.add_(1)
        torch.testing.assert_close(module(features_BCHW), plain(module, features_BCHW))
    assert module.folded is None


def test_the_state_dict_holds_nothing_folded(module: FoldedConvolution, features_BCHW: Tensor) -> None:
    before = module.state_dict().keys()
    with torch.no_grad():
        module(features_BCHW)
    assert module.state_dict().keys() == before == {
        "conv.weight", "norm.weight", "norm.bias", "norm.running_mean", "norm.running_var", "norm.num_batches_tracked"
    }  # fmt: skip


def test_training_uses_the_batchs_statistics(module: FoldedConvolution, features_BCHW: Tensor) -> None:
    with torch.no_grad():
        made_BCHW = module.train()(features_BCHW)
        mean_C, deviation_C = made_BCHW.mean(dim=(0, 2, 3)), made_BCHW.std(dim=(0, 2, 3), correction=0)
    torch.testing.assert_close(mean_C, module.norm.bias.detach())
    torch.testing.assert_close(deviation_C, module.norm.weight.detach().abs(), rtol=0.02, atol=0.02)
