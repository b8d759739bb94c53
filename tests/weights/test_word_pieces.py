"""The tokenizer of a pretrained text encoder: the library's, and an independent straightforward WordPiece's."""

from __future__ import annotations

import json
import shutil
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import transformers

from m3att.config import DataConfig, LanguageConfig, ModelConfig
from m3att.data.open import open_source
from m3att.data.text import Tokenizer
from m3att.weights.start import start_tokenizer
from m3att.weights.transformers_checkpoint import read_tokenizer


def read_vocabulary(path: Path) -> dict[str, int]:
    """Pieces of a vocab.txt, one a line."""
    return {word: number for number, word in enumerate(path.read_text("utf-8").splitlines())}


def read_texts(root: Path, name: str) -> list[str]:
    """The training expressions of a data set."""
    return list(open_source(DataConfig(root=str(root), dataset=name, split_by="unc"), "train").texts())


def basic_tokens(text: str) -> Iterator[str]:
    """Words and marks of a text as the BERT repository describes them: lower case, no accents, punctuation apart."""
    letters = []
    for letter in unicodedata.normalize("NFD", text.lower()):
        kind = unicodedata.category(letter)
        if kind == "Mn" or (kind.startswith("C") and letter not in "\t\n\r") or letter == "\ufffd":
            continue
        ascii_mark = letter.isascii() and not letter.isalnum() and letter.isprintable() and letter != " "
        chinese = 0x4E00 <= ord(letter) <= 0x9FFF
        letters.append(f" {letter} " if ascii_mark or kind.startswith("P") or chinese else letter)
    yield from "".join(letters).split()


def word_pieces(text: str, vocabulary: dict[str, int]) -> list[int]:
    """WordPiece, straightforward: the longest piece first, and a word that does not come out even is unknown."""
    ids: list[int] = []
    for word in basic_tokens(text):
        pieces: list[int] = []
        start = 0
        while start < len(word) <= 100:
            ends = range(len(word), start, -1)
            found = next((end for end in ends if ("##" if start else "") + word[start:end] in vocabulary), None)
            if found is None:
                pieces = []
                break
            pieces.append(vocabulary[("##" if start else "") + word[start:found]])
            start = found
        ids += pieces or [vocabulary["[UNK]"]]
    return ids


def check_pieces(tokenizer: Tokenizer, vocabulary: dict[str, int], texts: Sequence[str]) -> None:
    reference = transformers.BertTokenizer(vocab=vocabulary)
    words = tokenizer(texts)
    theirs = reference(list(texts), add_special_tokens=False)["input_ids"]
    for text, row, mask, his in zip(texts, words.word_ids_NL, words.word_mask_NL, theirs, strict=True):
        mine = row[mask].tolist()
        assert mine == word_pieces(text, vocabulary)[: tokenizer.word_limit], text
        assert mine == his[: tokenizer.word_limit], text
    assert words.cut == sum(len(his) > tokenizer.word_limit for his in theirs)


def test_word_pieces_are_those_of_the_reference(checkpoints: Path) -> None:
    tokenizer = read_tokenizer(str(checkpoints / "bert"), word_limit=7)
    vocabulary = read_vocabulary(checkpoints / "bert" / "vocab.txt")
    assert tokenizer.size == len(vocabulary) and tokenizer.frame == (2, 3)
    texts = [
        "The leftmost CIRCLES",
        "Café-box, the reddest!",
        "left\tof  the\nbox's",
        "人 9",
        "zzz" * 40,
        "the box " * 9,
    ]
    check_pieces(tokenizer, vocabulary, texts)
    assert [list(vocabulary)[number] for number in tokenizer(["leftmost boxes"]).word_ids_NL[0]] == [
        "left", "##most", "box", "##e", "##s",
    ]  # fmt: skip
    assert tokenizer.count_words("leftmost boxes") == 5
    assert tokenizer.unknown_words("the 人 box") == ("人",)


def test_marks_in_an_expression_are_text(checkpoints: Path) -> None:
    tokenizer = read_tokenizer(str(checkpoints / "bert"), word_limit=9)
    assert not {2, 3} & set(tokenizer(["the [SEP] box [CLS]"]).word_ids_NL[0].tolist())


def test_the_vocabulary_of_bert_reads_refcoco_as_the_reference_does(
    shared_folder: Path, refer_photos: Path, tmp_path: Path
) -> None:
    source = shared_folder / "vocab" / "bert-base-uncased-vocab.txt"
    if not source.is_file():
        pytest.skip(f"{source} is absent")
    shutil.copy(source, tmp_path / "vocab.txt")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    tokenizer = read_tokenizer(str(tmp_path), word_limit=15)
    vocabulary = read_vocabulary(source)
    assert tokenizer.size == len(vocabulary) == 30522 and tokenizer.frame == (101, 102)
    texts = [text for name in ("refcoco", "refcoco+") for text in read_texts(refer_photos, name)]
    assert len(texts) > 100
    check_pieces(tokenizer, vocabulary, texts)
    assert tokenizer(["man in red"]).word_ids_NL.tolist() == [[2158, 1999, 2417]]


def test_a_tokenizer_that_comes_with_its_encoder_reads_no_training_text(checkpoints: Path) -> None:
    config = ModelConfig(language=LanguageConfig(encoder="huggingface", weights=str(checkpoints / "bert")))
    texts = iter(["the red box"])
    start_tokenizer(config, lambda: texts)
    assert list(texts) == ["the red box"]
