"""Text encoders of transformers: the library's own states, around [CLS] and [SEP], and the published sizes.

What they share with every encoder is in test_contract.py.
"""

from __future__ import annotations

import pytest
import torch
import transformers
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from m3att.errors import ConfigError
from m3att.model.architectures import make_config
from m3att.model.language.text_transformer import ARCHITECTURES, FRESH_IDS, HuggingFaceEncoder, find_architecture

from ..architectures import LANGUAGE

CHANNELS = 8


def count(module: nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())


@pytest.mark.parametrize("name", LANGUAGE)
def test_the_encoder_sees_cls_words_sep_and_only_words_leave_it(name: str) -> None:
    encoder = HuggingFaceEncoder(LANGUAGE[name], CHANNELS).eval()
    start, end, padding = (LANGUAGE[name][f"{key}_token_id"] for key in ("bos", "eos", "pad"))
    word_ids_NL = torch.tensor([[7, 8, 9, 10], [11, 12, 0, 0]])
    word_mask_NL = torch.tensor([[True] * 4, [True, True, False, False]])
    words_NLC, sentence_NC = encoder(word_ids_NL, word_mask_NL)
    theirs = transformers.AutoModel.from_config(encoder.trunk.config).eval()
    foreign = theirs.load_state_dict(encoder.trunk.state_dict(), strict=False)
    assert foreign.unexpected_keys == [] and all("pooler" in key for key in foreign.missing_keys)
    states_NSE = theirs(
        input_ids=torch.tensor([[start, 7, 8, 9, 10, end], [start, 11, 12, end, padding, padding]]),
        attention_mask=torch.tensor([[1] * 6, [1, 1, 1, 1, 0, 0]]),
    ).last_hidden_state
    expected_NLC = encoder.norm_words(encoder.project_words(states_NSE[:, 1:5]))
    torch.testing.assert_close(words_NLC[word_mask_NL], expected_NLC[word_mask_NL])
    assert words_NLC[~word_mask_NL].eq(0).all()
    torch.testing.assert_close(sentence_NC, encoder.norm_sentence(encoder.project_sentence(states_NSE[:, 0])))


def test_a_frozen_encoder_is_fixed_without_dropout_and_its_projections_learn() -> None:
    encoder = HuggingFaceEncoder(LANGUAGE["bert"], CHANNELS, freeze=True).train()
    assert encoder.norm_words.training and not any(part.training for part in encoder.trunk.modules())
    question = torch.tensor([[4, 5, 6]]), torch.ones(1, 3, dtype=torch.bool)
    words_NLC, sentence_NC = encoder(*question)
    assert torch.equal(encoder(*question)[0], words_NLC)
    ((words_NLC * torch.randn_like(words_NLC)).sum() + (sentence_NC * torch.randn_like(sentence_NC)).sum()).backward()
    assert all(weight.grad is None and not weight.requires_grad for weight in encoder.trunk.parameters())
    learning = [encoder.project_words, encoder.project_sentence, encoder.norm_words, encoder.norm_sentence]
    assert all(weight.grad is not None and weight.grad.any() for part in learning for weight in part.parameters())


def test_word_dropout_hides_words_while_training_and_never_the_marks() -> None:
    encoder = HuggingFaceEncoder(LANGUAGE["roberta"], CHANNELS, word_dropout=0.3)
    word_ids_NL, word_mask_NL = torch.randint(5, 30, (200, 10)), torch.ones(200, 10, dtype=torch.bool)
    seen: list[torch.Tensor] = []
    encoder.trunk.register_forward_pre_hook(lambda _, __, given: seen.append(given["input_ids"]), with_kwargs=True)
    encoder.eval()(word_ids_NL, word_mask_NL)
    encoder.train()(word_ids_NL, word_mask_NL)
    assert torch.equal(seen[0][:, 1:-1], word_ids_NL)
    changed_NL = seen[1][:, 1:-1] != word_ids_NL
    assert seen[1][:, 1:-1][changed_NL].eq(LANGUAGE["roberta"]["unk_token_id"]).all()
    assert 0.25 < changed_NL.float().mean() < 0.35
    assert seen[1][:, 0].eq(0).all() and seen[1][:, -1].eq(2).all()


@pytest.mark.parametrize("name", LANGUAGE)
def test_as_many_words_as_there_are_positions_and_no_more(name: str) -> None:
    encoder = HuggingFaceEncoder(LANGUAGE[name], CHANNELS).eval()
    assert encoder.word_limit == (28 if name == "roberta" else 30)  # RoBERTa's positions start behind its padding id
    for words, fits in ((encoder.word_limit, True), (encoder.word_limit + 1, False)):
        question = torch.full((1, words), 7), torch.ones(1, words, dtype=torch.bool)
        if fits:
            assert encoder(*question)[0].isfinite().all()
        else:
            with pytest.raises((IndexError, RuntimeError)):
                encoder(*question)


@pytest.mark.parametrize("name", LANGUAGE)
def test_the_architecture_that_it_tells_builds_the_same(name: str) -> None:
    encoder = HuggingFaceEncoder(LANGUAGE[name], CHANNELS).eval()
    again = HuggingFaceEncoder(encoder.architecture, CHANNELS).eval()
    assert again.architecture == encoder.architecture
    again.load_state_dict(encoder.state_dict())
    question = torch.tensor([[4, 5, 6]]), torch.tensor([[True, True, False]])
    for mine, his in zip(again(*question), encoder(*question), strict=True):
        assert torch.equal(mine, his)


def test_bert_base_has_the_published_parameters() -> None:
    """Devlin et al. say 110 M: 109,482,240 with the pooler, which is not built here."""
    with torch.device("meta"):
        whole = transformers.BertModel(make_config(ARCHITECTURES["bert-base"]))
        encoder = HuggingFaceEncoder({**ARCHITECTURES["bert-base"], **FRESH_IDS}, 256)
    assert count(whole) == 109_482_240
    assert count(encoder.trunk) == count(whole) - 768 * 768 - 768 == 108_891_648
    assert encoder.word_limit == 510


def test_bert_base_has_the_published_operations() -> None:
    """TinyBERT's Table 1: 22.5 G for 128 word pieces, a multiply and an add being two operations.

    The counter sees matrix products alone; softmax, GELU and norms are the 0.7 per cent that it misses.
    """
    with torch.device("meta"):
        whole = transformers.BertModel(make_config(ARCHITECTURES["bert-base"])).eval()
        with FlopCounterMode(display=False) as counter:
            whole(torch.zeros(1, 128, dtype=torch.int64))
    assert counter.get_total_flops() == pytest.approx(22.5e9, rel=0.01)


@pytest.mark.parametrize(
    ("name", "millions"), [("bert-small", 28.76), ("bert-tiny", 4.386), ("distilbert-base", 66.36)]
)
def test_the_other_architectures_have_the_published_parameters(name: str, millions: float) -> None:
    with torch.device("meta"):
        whole = transformers.AutoModel.from_config(make_config(ARCHITECTURES[name]))
    assert count(whole) / 1e6 == pytest.approx(millions, abs=0.006)


def test_what_is_no_text_encoder_is_refused() -> None:
    for values, message in (
        (LANGUAGE["bert"] | {"bos_token_id": None}, r"lacks bos_token_id, the id of the start \(\[CLS\]\)"),
        ({"model_type": "t5"} | FRESH_IDS, "'t5': is no BERT-like text encoder"),
        ({"model_type": "no-such-kind"} | FRESH_IDS, "'no-such-kind': transformers .* refuses it"),
    ):
        with pytest.raises(ConfigError, match=message) as caught, torch.device("meta"):
            HuggingFaceEncoder(values, CHANNELS)
        assert len(str(caught.value).splitlines()) == 1


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"no 'bert-x'; there are bert-base, bert-small"):
        find_architecture("bert-x")
    with pytest.raises(ConfigError, match="needs `weights`, `architecture` or both"):
        find_architecture(None)
