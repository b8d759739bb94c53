"""IMI against Eq. 3, written out as loops over expressions and pairs of words."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from m3att.model.imi import IMI
from m3att.model.norm import MaskedBatchNorm, Projection

from .inputs import settled, word_mask
from .literal import Matrix, add, batch_norm, dot, linear, relu, softmax, weighted

LENGTHS, WORDS, CHANNELS = (3, 1, 4), 4, 6


def literal_injected(module: IMI, decoded: Matrix, language: Matrix, length: int) -> tuple[Matrix, Matrix]:
    """F_dec^n + w_ci F_i^n at the real words of one expression, and F_l^n."""
    weight = module.injection.item()
    if module.constant:
        return [add(decoded[l], [weight * v for v in language[l]]) for l in range(length)], language  # noqa: E741
    language = [linear(row, module.transform) for row in language]
    values = [relu(linear(row, module.value)) for row in language]  # F'_l
    injected = []
    for word in range(length):
        query = relu(linear(decoded[word], module.query))
        attention = softmax([dot(query, language[other]) for other in range(length)])  # A_l
        answer = weighted(attention, values[:length])  # F_i
        injected.append(add(decoded[word], [weight * value for value in answer]))
    return injected, language


def features() -> tuple[Tensor, Tensor, Tensor]:
    decoded_NLC = torch.randn(3, WORDS, CHANNELS, dtype=torch.float64)
    return decoded_NLC, torch.randn_like(decoded_NLC), word_mask(LENGTHS, WORDS)


def make(constant: bool = False, norm_everywhere: bool = False) -> IMI:
    module = settled(IMI(CHANNELS, constant, norm_everywhere=norm_everywhere))
    module.injection.data.fill_(0.7)
    return module


@pytest.mark.parametrize(("constant", "norm_everywhere"), [(False, False), (True, False), (False, True)])
def test_it_is_the_literal_eq_3(constant: bool, norm_everywhere: bool) -> None:
    module, (decoded_NLC, language_NLC, word_mask_NL) = make(constant, norm_everywhere), features()
    assert not norm_everywhere or isinstance(module.transform, Projection)
    found_NLC, pathway_NLC = module(decoded_NLC, language_NLC, word_mask_NL)
    for n, length in enumerate(LENGTHS):
        injected, language = literal_injected(module, decoded_NLC[n].tolist(), language_NLC[n].tolist(), length)
        expected = [batch_norm(row, module.norm) for row in injected]
        torch.testing.assert_close(found_NLC[n, :length], torch.tensor(expected, dtype=torch.float64))
        torch.testing.assert_close(pathway_NLC[n], torch.tensor(language, dtype=torch.float64))


def test_while_training_bn_takes_the_batches_real_words() -> None:
    module, (decoded_NLC, language_NLC, word_mask_NL) = make().train(), features()
    found_NLC, _ = module(decoded_NLC, language_NLC, word_mask_NL)
    rows: Matrix = []
    for n, length in enumerate(LENGTHS):
        rows += literal_injected(module, decoded_NLC[n].tolist(), language_NLC[n].tolist(), length)[0]
    for channel in range(CHANNELS):
        values = [row[channel] for row in rows]
        mean = sum(values) / len(values)
        deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / len(values) + module.norm.eps)
        weight, bias = module.norm.weight[channel].item(), module.norm.bias[channel].item()
        expected = [(value - mean) / deviation * weight + bias for value in values]
        assert found_NLC[word_mask_NL][:, channel].tolist() == pytest.approx(expected)


def test_imi_star_injects_the_word_features_themselves_and_carries_them_on() -> None:
    module, (decoded_NLC, language_NLC, word_mask_NL) = make(constant=True), features()
    _, pathway_NLC = module(decoded_NLC, language_NLC, word_mask_NL)
    assert pathway_NLC is language_NLC
    assert {name.split(".")[0] for name, _ in module.named_parameters()} == {"injection", "norm"}


def test_the_injection_is_a_learnable_scalar_that_starts_at_a_tenth() -> None:
    module = IMI(CHANNELS)
    assert module.injection.shape == () and module.injection.requires_grad
    assert module.injection.item() == pytest.approx(0.1)


def test_without_injection_only_bn_is_left() -> None:
    module, (decoded_NLC, language_NLC, word_mask_NL) = make(), features()
    module.injection.data.zero_()
    found_NLC, _ = module(decoded_NLC, language_NLC, word_mask_NL)
    torch.testing.assert_close(found_NLC, module.norm(decoded_NLC, word_mask_NL))
    assert isinstance(module.norm, MaskedBatchNorm)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("constant", [False, True])
def test_what_stands_at_padding_changes_nothing(constant: bool, training: bool) -> None:
    module, (decoded_NLC, language_NLC, word_mask_NL) = make(constant).train(training), features()
    padding_NL1 = ~word_mask_NL.unsqueeze(2)
    found_NLC, _ = module(decoded_NLC, language_NLC, word_mask_NL)
    wild_NLC, _ = module(
        decoded_NLC.masked_fill(padding_NL1, 1e3), language_NLC.masked_fill(padding_NL1, -1e3), word_mask_NL
    )
    assert torch.equal(found_NLC[word_mask_NL], wild_NLC[word_mask_NL])
