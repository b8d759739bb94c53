"""BatchNorm that padding has no say in, and the projection built on it."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from m3att.model.norm import MaskedBatchNorm, Projection

from .inputs import settled, word_mask
from .literal import batch_norm, linear

LENGTHS = (3, 1, 4)


def real_words(words_NLC: Tensor) -> list[list[float]]:
    """The real words of an (3, 4, C) batch, as lists."""
    return [words_NLC[n, l].tolist() for n, length in enumerate(LENGTHS) for l in range(length)]  # noqa: E741


def test_training_statistics_are_those_of_the_real_words() -> None:
    norm = MaskedBatchNorm(5).double()
    norm.load_state_dict({**settled(MaskedBatchNorm(5)).state_dict()})
    running_mean, running_var = norm.running_mean.tolist(), norm.running_var.tolist()
    words_NLC = torch.randn(3, 4, 5, dtype=torch.float64) * 2 + 1
    found_NLC = norm.train()(words_NLC, word_mask(LENGTHS, 4))
    rows = real_words(words_NLC)
    for channel in range(5):
        values = [row[channel] for row in rows]
        mean = sum(values) / len(values)
        squares = sum((value - mean) ** 2 for value in values)
        deviation = math.sqrt(squares / len(values) + norm.eps)
        weight, bias = norm.weight[channel].item(), norm.bias[channel].item()
        expected = [(value - mean) / deviation * weight + bias for value in values]
        assert [row[channel] for row in real_words(found_NLC)] == pytest.approx(expected, rel=1e-10)
        # Running statistics move a tenth of the way to the batch's, whose variance is the unbiased one.
        assert norm.running_mean[channel].item() == pytest.approx(0.9 * running_mean[channel] + 0.1 * mean)
        unbiased = squares / (len(values) - 1)
        assert norm.running_var[channel].item() == pytest.approx(0.9 * running_var[channel] + 0.1 * unbiased)


def test_evaluation_uses_the_running_statistics() -> None:
    norm = settled(MaskedBatchNorm(5))
    words_NLC = torch.randn(3, 4, 5, dtype=torch.float64)
    found_NLC = norm(words_NLC, word_mask(LENGTHS, 4))
    expected = [[batch_norm(row, norm) for row in rows] for rows in words_NLC.tolist()]
    torch.testing.assert_close(found_NLC, torch.tensor(expected, dtype=torch.float64))


def test_what_stands_at_padding_changes_nothing_and_gets_no_gradient() -> None:
    word_mask_NL = word_mask(LENGTHS, 4)
    words_NLC = torch.randn(3, 4, 5, requires_grad=True)
    wild_NLC = words_NLC.detach().masked_fill(~word_mask_NL.unsqueeze(2), 1e30)
    tame, wild = MaskedBatchNorm(5), MaskedBatchNorm(5)
    found_NLC = tame(words_NLC, word_mask_NL)
    assert torch.equal(found_NLC[word_mask_NL], wild(wild_NLC, word_mask_NL)[word_mask_NL])
    assert torch.equal(tame.running_var, wild.running_var)
    (found_NLC * torch.randn(3, 4, 5)).sum().backward()
    assert words_NLC.grad is not None
    assert words_NLC.grad[~word_mask_NL].eq(0).all() and words_NLC.grad[word_mask_NL].ne(0).any()


def test_more_padding_changes_nothing() -> None:
    words_NLC = torch.randn(3, 4, 5)
    narrow, wide = MaskedBatchNorm(5), MaskedBatchNorm(5)
    found_NLC = narrow(words_NLC, word_mask(LENGTHS, 4))
    padded_NLC = wide(nn.functional.pad(words_NLC, (0, 0, 0, 3)), word_mask(LENGTHS, 7))
    assert torch.equal(padded_NLC[:, :4], found_NLC)
    assert torch.equal(narrow.running_mean, wide.running_mean)


def test_without_a_mask_every_position_is_real() -> None:
    words_NLC = torch.randn(3, 4, 5)
    masked, plain = MaskedBatchNorm(5), MaskedBatchNorm(5)
    found_NLC = masked(words_NLC, word_mask((4, 4, 4), 4))
    torch.testing.assert_close(plain(words_NLC), found_NLC)
    torch.testing.assert_close(plain.running_var, masked.running_var)


def test_a_lone_word_has_no_variance_and_is_normalised_as_in_evaluation() -> None:
    # The last batch of an epoch may hold one expression of one word.
    norm = MaskedBatchNorm(5)
    words_NLC = torch.randn(1, 3, 5, requires_grad=True)
    word_mask_NL = word_mask((1,), 3)
    before = {name: value.clone() for name, value in norm.state_dict().items()}
    found_NLC = norm(words_NLC, word_mask_NL)
    assert torch.equal(found_NLC[0, 0], norm.eval()(words_NLC, word_mask_NL)[0, 0])
    assert all(torch.equal(value, before[name]) for name, value in norm.state_dict().items())
    found_NLC[word_mask_NL].square().sum().backward()
    assert words_NLC.grad is not None and norm.weight.grad is not None
    assert words_NLC.grad.isfinite().all()


def test_it_is_batch_norm_of_the_real_words_with_the_same_names_and_numbers() -> None:
    # Models that were saved when the class was a kind of BatchNorm1d are read as before.
    masked, plain = MaskedBatchNorm(5), nn.BatchNorm1d(5)
    assert {name: (value.shape, value.dtype) for name, value in masked.state_dict().items()} == {
        name: (value.shape, value.dtype) for name, value in plain.state_dict().items()
    }
    word_mask_NL = word_mask(LENGTHS, 4)
    for _ in range(3):
        words_NLC = torch.randn(3, 4, 5)
        assert torch.equal(masked(words_NLC, word_mask_NL)[word_mask_NL], plain(words_NLC[word_mask_NL]))
    assert all(torch.equal(value, plain.state_dict()[name]) for name, value in masked.state_dict().items())
    assert masked.num_batches_tracked.item() == 3


def test_the_converter_to_synchronised_batch_norm_leaves_the_mask_in_force() -> None:
    network = nn.ModuleDict({"masked": MaskedBatchNorm(5), "projection": Projection(4, 6), "plain": nn.BatchNorm2d(3)})
    masked = network["masked"]
    converted = nn.SyncBatchNorm.convert_sync_batchnorm(network)
    assert isinstance(converted["plain"], nn.SyncBatchNorm)  # the converter did its work
    assert converted["masked"] is masked
    assert isinstance(converted["projection"].norm, MaskedBatchNorm)
    word_mask_NL = word_mask(LENGTHS, 4)
    words_NLC = torch.randn(3, 4, 5)
    wild_NLC = words_NLC.masked_fill(~word_mask_NL.unsqueeze(2), 1e30)
    expected_NLC = MaskedBatchNorm(5)(words_NLC, word_mask_NL)
    assert torch.equal(converted["masked"](wild_NLC, word_mask_NL)[word_mask_NL], expected_NLC[word_mask_NL])


def test_a_projection_is_linear_then_bn_then_relu() -> None:
    projection = settled(Projection(4, 6))
    sequence_NLC = torch.randn(2, 3, 4, dtype=torch.float64)
    expected = [[linear(row, projection) for row in rows] for rows in sequence_NLC.tolist()]
    torch.testing.assert_close(projection(sequence_NLC), torch.tensor(expected, dtype=torch.float64))
    assert projection.linear.bias is None  # BN takes any bias away again
