"""What every language encoder must keep, whatever it is; a new one joins by a line in ENCODERS."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor

from m3att.encoders import LANGUAGE
from m3att.model.language.birnn import BiRNN
from m3att.model.language.contract import LanguageEncoder
from m3att.model.language.text_transformer import HuggingFaceEncoder

from ..architectures import LANGUAGE as LANGUAGE_SIZES

CHANNELS, VOCABULARY, LENGTHS = 8, 30, (3, 1, 5, 5)
# Small ones of each kind; what stands before the first dash is the kind's name in LANGUAGE.
ENCODERS: dict[str, Callable[[], LanguageEncoder]] = {
    "birnn-lstm": lambda: BiRNN(VOCABULARY, 6, CHANNELS, "lstm"),
    "birnn-gru": lambda: BiRNN(VOCABULARY, 6, CHANNELS, "gru"),
    **{f"huggingface-{name}": partial(HuggingFaceEncoder, values, CHANNELS) for name, values in LANGUAGE_SIZES.items()},
}


@pytest.fixture(params=ENCODERS)
def encoder(request: pytest.FixtureRequest) -> LanguageEncoder:
    return ENCODERS[request.param]().eval()


def expressions(words: int = 5) -> tuple[Tensor, Tensor]:
    word_mask_NL = torch.arange(words)[None] < torch.tensor(LENGTHS)[:, None]
    return torch.randint(2, VOCABULARY, word_mask_NL.shape) * word_mask_NL, word_mask_NL


def test_every_encoder_is_held_to_the_contract() -> None:
    assert {name.partition("-")[0] for name in ENCODERS} == set(LANGUAGE)


def test_one_feature_a_word_and_one_a_sentence_and_zero_at_padding(encoder: LanguageEncoder) -> None:
    word_ids_NL, word_mask_NL = expressions()
    words_NLC, sentence_NC = encoder(word_ids_NL, word_mask_NL)
    assert encoder.channels == CHANNELS
    assert words_NLC.shape == (4, 5, CHANNELS) and sentence_NC.shape == (4, CHANNELS)
    assert words_NLC[~word_mask_NL].eq(0).all()
    assert words_NLC[word_mask_NL].abs().sum(dim=1).gt(0).all() and sentence_NC.isfinite().all()


def test_padding_changes_neither(encoder: LanguageEncoder) -> None:
    word_ids_NL, word_mask_NL = expressions()
    words_NLC, sentence_NC = encoder(word_ids_NL, word_mask_NL)
    wide_ids, wide_mask = (torch.nn.functional.pad(rows, (0, 3)) for rows in (word_ids_NL, word_mask_NL))
    wide_ids[~wide_mask] = 7  # whatever stands there
    wide_NLC, wide_sentence_NC = encoder(wide_ids, wide_mask)
    torch.testing.assert_close(wide_NLC[:, :5], words_NLC)
    torch.testing.assert_close(wide_sentence_NC, sentence_NC)
    assert wide_NLC[:, 5:].eq(0).all()


def test_an_expression_does_not_hang_on_its_batch(encoder: LanguageEncoder) -> None:
    word_ids_NL, word_mask_NL = expressions()
    words_NLC, sentence_NC = encoder(word_ids_NL, word_mask_NL)
    for n, length in enumerate(LENGTHS):
        alone_1LC, alone_1C = encoder(word_ids_NL[n : n + 1, :length], word_mask_NL[n : n + 1, :length])
        torch.testing.assert_close(alone_1LC[0], words_NLC[n, :length])
        torch.testing.assert_close(alone_1C[0], sentence_NC[n])


def test_the_order_of_words_is_heard_and_every_word_hears_the_others(encoder: LanguageEncoder) -> None:
    word_ids_NL = torch.tensor([[4, 5, 6], [6, 5, 4], [4, 5, 7]])
    words_NLC, sentence_NC = encoder(word_ids_NL, torch.ones(3, 3, dtype=torch.bool))
    assert (sentence_NC[0] - sentence_NC[1]).abs().max() > 1e-3
    assert (words_NLC[0] - words_NLC[2]).abs().amax(dim=1).gt(1e-4).all()  # the last word reaches the first


def test_every_weight_learns(encoder: LanguageEncoder) -> None:
    encoder.train()
    word_ids_NL, word_mask_NL = expressions()
    words_NLC, sentence_NC = encoder(word_ids_NL, word_mask_NL)
    ((words_NLC * torch.randn_like(words_NLC)).sum() + (sentence_NC * torch.randn_like(sentence_NC)).sum()).backward()
    dead = [name for name, weight in encoder.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert dead == []


def test_evaluation_repeats_itself(encoder: LanguageEncoder) -> None:
    question = expressions()
    for first, second in zip(encoder(*question), encoder(*question), strict=True):
        assert torch.equal(first, second)


def test_bfloat16_is_near(encoder: LanguageEncoder) -> None:
    question = expressions()
    with torch.autocast("cpu", torch.bfloat16):
        found = encoder(*question)
    for low, full in zip(found, encoder(*question), strict=True):
        torch.testing.assert_close(low.float(), full, rtol=0.05, atol=0.05)


def test_a_state_dict_makes_the_same_encoder_again(encoder: LanguageEncoder, request: pytest.FixtureRequest) -> None:
    copy = ENCODERS[request.node.callspec.params["encoder"]]().eval()
    copy.load_state_dict(encoder.state_dict())
    question = expressions()
    for mine, others in zip(encoder(*question), copy(*question), strict=True):
        assert torch.equal(mine, others)
