"""The tokenizer: what is a word, which words are known, and what is cut, dropped or refused."""

from __future__ import annotations

import json
import re
import unicodedata
from pathlib import Path

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tokenizers import Regex, models, pre_tokenizers
from tokenizers import Tokenizer as FastTokenizer

from m3att.data.text import END, PADDING, START, UNKNOWN, Coverage, Tokenizer, split_words, word_tokenizer, words_in
from m3att.errors import ExpressionError, ModelError
from m3att.model_folder import BUNDLED

# Blocks of letters of scripts without spaces, a little too large, for Python's own regular expressions.
UNSPACED_LETTER = (
    "[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u19e0-\u1aaf\u2e80-\u31ff\ua000-\ua4cf"
    "\ua9e0-\ua9ff\uaa60-\uaa7f\u3400-\u9fff\uf900-\ufaff\U00016f00-\U0001b16f\U00020000-\U0003ffff]"
)

TEXTS = ["the red cat", "the red dog", "the man's dog isn't red", "the café"]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.from_texts(TEXTS, word_limit=6)


def words_of(tokenizer: Tokenizer) -> list[str]:
    """The vocabulary in the order of its ids."""
    vocabulary = tokenizer.tokenizer.get_vocab()
    return sorted(vocabulary, key=vocabulary.__getitem__)


def read(tokenizer: Tokenizer, text: str) -> list[str]:
    """The words that the network reads of one text."""
    names = words_of(tokenizer)
    return [names[number] for number in tokenizer([text]).word_ids_NL[0].tolist()]


def test_the_vocabulary_is_ordered_by_frequency_and_then_by_letters(tokenizer: Tokenizer) -> None:
    assert words_of(tokenizer) == [PADDING, UNKNOWN, "the", "red", "dog", "café", "cat", "isn't", "man's"]
    assert (tokenizer.padding_id, tokenizer.unknown_id, tokenizer.size) == (0, 1, 9)


def test_the_order_of_the_texts_does_not_change_the_vocabulary(tokenizer: Tokenizer) -> None:
    assert words_of(Tokenizer.from_texts(reversed(TEXTS), 6)) == words_of(tokenizer)


def test_a_framed_vocabulary_has_a_start_and_an_end_that_no_expression_can_say(tmp_path: Path) -> None:
    Tokenizer.from_texts(TEXTS, 6, framed=True).save(tmp_path / "tokenizer.json")
    framed = Tokenizer.from_file(tmp_path / "tokenizer.json", 6)
    assert words_of(framed)[:5] == [PADDING, UNKNOWN, START, END, "the"]
    assert framed.frame == (2, 3)
    assert framed(["the [CLS] dog [SEP]"]).word_ids_NL.tolist() == [[4, 1, 6, 1]]
    assert framed.count_words("the red dog") == 3 and framed.unknown_words("the wug") == ("wug",)


def test_a_tokenizer_without_marks_says_so(tokenizer: Tokenizer) -> None:
    with pytest.raises(ModelError, match="puts 0 marks around an expression"):
        _ = tokenizer.frame


def test_rare_words_stay_out() -> None:
    assert words_of(Tokenizer.from_texts(TEXTS, 6, minimum=2)) == [PADDING, UNKNOWN, "the", "red", "dog"]
    assert words_of(Tokenizer.from_texts(TEXTS, 6, minimum=9)) == [PADDING, UNKNOWN]


def test_padding_and_mask(tokenizer: Tokenizer) -> None:
    words = tokenizer(["the cat", "red", "the red dog zzz"])
    assert words.word_ids_NL.dtype == torch.int64 and words.word_mask_NL.dtype == torch.bool
    assert words.word_ids_NL.tolist() == [[2, 6, 0, 0], [3, 0, 0, 0], [2, 3, 4, 1]]
    assert words.word_mask_NL.tolist() == [[True, True, False, False], [True, False, False, False], [True] * 4]
    assert words.cut == 0


def test_what_is_longer_than_the_limit_is_cut_and_counted(tokenizer: Tokenizer) -> None:
    words = tokenizer(["the red " * 3, "the red " * 3 + "dog", "cat", "dog " * 10_000])
    assert words.word_ids_NL.shape == (4, 6)
    assert words.cut == 2
    assert words.word_ids_NL[1].tolist() == [2, 3] * 3
    assert words.word_mask_NL.sum(dim=1).tolist() == [6, 6, 1, 6]
    assert tokenizer.count_words("dog " * 10_000) == 10_000
    assert tokenizer.count_words("x" * 10_000) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The RED, Cat!", ["the", "red", "cat"]),
        ("isn't", ["isn't"]),
        ("ISN’T the man’s", ["isn't", "the", "man's"]),  # the curly apostrophe of phones and editors
        ("'the' ''red'' dogs'", ["the", "red", UNKNOWN]),
        ("the-red/dog…cat", ["the", "red", "dog", "cat"]),
        ("ｔｈｅ ｒｅｄ", ["the", "red"]),  # full-width letters, which NFKC makes plain
        ("cafe\u0301 CAFÉ", ["café", "café"]),  # e and an accent of its own
        ("the 🐕 red 👨‍👩‍👧 dog", ["the", "red", "dog"]),
        ("\u200fהכלב the \u202eكلب", [UNKNOWN, "the", UNKNOWN]),
        ("红色的狗", [UNKNOWN] * 4),
        ("the\x00red\n\tdog\u00a0cat", ["the", "red", "dog", "cat"]),
        ("[PAD] [UNK] the", [UNKNOWN, UNKNOWN, "the"]),  # nobody can type a padding
        ("the \ud83d red \udcff", ["the", "red"]),  # halves of characters, from a command line in another encoding
    ],
)
def test_words_of_all_sorts(tokenizer: Tokenizer, text: str, expected: list[str]) -> None:
    assert read(tokenizer, text) == expected
    assert tokenizer.count_words(text) == len(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("左边红色的盒子", "左 边 红 色 的 盒 子"),
        ("左，红。「色」！", "左 红 色"),  # full-width punctuation
        ("人々と𠮷野家", "人 々 と 𠮷 野 家"),  # a mark that repeats, and a letter beyond the first 65,536
        ("テーブルの上の赤い箱", "テー ブ ル の 上 の 赤 い 箱"),
        ("ﾃｰﾌﾞﾙ", "テー ブ ル"),  # half-width, with marks of their own
        ("左から２番目のDog", "左 か ら 2 番 目 の dog"),  # two scripts and a number
        ("the 红色 shirt, isn’t 狗's", "the 红 色 shirt isn't 狗 s"),
        ("กล่องสีแดง", "ก ล่ อ ง สี แ ด ง"),  # vowels and tones stay with their letter
        ("ຫຼິ້ນ", "ຫຼິ້ ນ"),
        ("ក្រហម", "ក្ រ ហ ម"),
        ("빨간 상자", "빨간 상자"),  # Korean sets spaces
        ("नमस्ते दुनिया", "नमस्ते दुनिया"),
        ("ٱلْكَلْبُ الأحمر", "ٱلْكَلْبُ الأحمر"),
    ],
)
def test_scripts_without_spaces_are_read_letter_by_letter(text: str, expected: str) -> None:
    assert words_in(text) == expected.split()
    tokenizer = Tokenizer.from_texts([text], word_limit=20)
    assert tokenizer.unknown_words(text) == () and tokenizer.count_words(text) == len(expected.split())


def test_a_sentence_of_such_a_script_is_understood_by_words_of_others() -> None:
    tokenizer = Tokenizer.from_texts(["左边红色的盒子", "右边蓝色的盒子"], 15)
    assert read(tokenizer, "红色的盒子在右边") == ["红", "色", "的", "盒", "子", UNKNOWN, "右", "边"]
    assert tokenizer.unknown_words("红色的盒子在右边") == ("在",)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=40))
def test_other_scripts_are_read_as_they_were_before_letters_were_words(text: str) -> None:
    earlier = word_tokenizer({PADDING: 0, UNKNOWN: 1})
    earlier.pre_tokenizer = pre_tokenizers.Split(Regex(r"\w+(?:['’]\w+)?"), behavior="removed", invert=True)
    text = text.encode("utf-8", "replace").decode()
    assume(not re.search(UNSPACED_LETTER, unicodedata.normalize("NFKC", text)))
    assert split_words(word_tokenizer({PADDING: 0, UNKNOWN: 1}), text) == split_words(earlier, text)


def test_a_saved_tokenizer_keeps_the_rules_that_it_was_saved_with(tmp_path: Path) -> None:
    content = (BUNDLED / "shaperef-tiny" / "tokenizer.json").read_bytes()  # saved when a word was a run of letters
    path = tmp_path / "tokenizer.json"
    path.write_bytes(content)
    tokenizer = Tokenizer.from_file(path, 15)
    assert tokenizer.unknown_words("红色的狗") == ("红色的狗",)
    tokenizer.save(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize("text", ["", " ", "?!", "🐕", "\u200f", "--", "\ud83d", "'"])
def test_an_expression_without_a_word_is_refused(tokenizer: Tokenizer, text: str) -> None:
    with pytest.raises(ExpressionError, match="holds no word: say what to segment") as refusal:
        tokenizer(["the dog", text])
    assert repr(text) in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_unknown_words_are_named_as_they_were_typed(tokenizer: Tokenizer) -> None:
    assert tokenizer.unknown_words("the Ferret, ﬁsh and\u00a0Dog’s 🐕 DOG isn’t") == ("Ferret", "ﬁsh", "and", "Dog’s")
    assert tokenizer.unknown_words("zzz \udcff the") == ("zzz",)
    assert tokenizer.unknown_words("the red dog") == ()


@settings(max_examples=80, deadline=None)
@given(st.lists(st.text(max_size=40), min_size=1, max_size=5))
def test_any_text_is_read_or_refused(texts: list[str]) -> None:
    tokenizer = Tokenizer.from_texts(texts, word_limit=4)
    for text in texts:
        assert tokenizer.unknown_words(text) == ()  # a vocabulary holds each word that it was made of
        count = tokenizer.count_words(text)
        if count == 0:
            with pytest.raises(ExpressionError):
                tokenizer([text])
        else:
            words = tokenizer([text])
            assert words.word_ids_NL.shape == (1, min(count, 4))
            assert words.cut == (count > 4)


def test_coverage_counts_expressions_by_the_words_that_are_known(tokenizer: Tokenizer) -> None:
    texts = ["the red dog", "the wug", "wug", "wug gazzer", "the " * 9, "the " * 6 + "wug", "?!"]
    assert tokenizer.coverage(texts) == Coverage(expressions=7, cut=2, partly_unknown=1, unknown=2)
    assert tokenizer.coverage(iter(())) == Coverage()
    words = tokenizer(texts[:-1])  # the last holds no word
    assert (words.cut, words.partly_unknown, words.unknown) == (2, 1, 2)
    assert tokenizer.coverage(["the wug"] * 5000 + ["wug"] * 5000) == Coverage(10_000, 0, 5000, 5000)


def test_a_vocabulary_grows_by_new_words_and_keeps_the_ids_of_the_old(tokenizer: Tokenizer, tmp_path: Path) -> None:
    texts = ["the wug", "a wug", "the gazzer's wug", "Red"]
    longer = tokenizer.extended(texts)
    assert words_of(longer) == [*words_of(tokenizer), "wug", "a", "gazzer's"]
    assert longer.words_after(tokenizer.size) == ["wug", "a", "gazzer's"]
    assert longer.coverage(texts) == Coverage(expressions=4)
    assert words_of(tokenizer.extended(texts, minimum=2)) == [*words_of(tokenizer), "wug"]
    assert tokenizer.extended(["the red dog"]) is tokenizer
    for text in TEXTS:
        assert longer([text]).word_ids_NL.tolist() == tokenizer([text]).word_ids_NL.tolist()
    longer.save(tmp_path / "tokenizer.json")
    assert words_of(Tokenizer.from_file(tmp_path / "tokenizer.json", 6)) == words_of(longer)
    framed = Tokenizer.from_texts(TEXTS, 6, framed=True)
    assert framed.extended(["a wug"]).frame == framed.frame == (2, 3)


def test_a_vocabulary_that_knew_no_letters_learns_those_of_scripts_without_spaces(tmp_path: Path) -> None:
    elder = Tokenizer.from_file(BUNDLED / "shaperef-tiny" / "tokenizer.json", 15)
    longer = elder.extended(["左边红色的盒子", "the red ball"])
    assert longer.words_after(elder.size) == sorted("左边红色的盒子")
    assert read(longer, "红色 ball") == ["红", "色", "ball"]
    # A vocabulary that has whole sentences as words, as it was made once, goes on to read them so.
    words = {PADDING: 0, UNKNOWN: 1, "左边红色的盒子": 2}
    whole = word_tokenizer(words)
    whole.pre_tokenizer = pre_tokenizers.Split(Regex(r"\w+"), behavior="removed", invert=True)
    assert words_of(Tokenizer(whole, 15).extended(["红色"])) == [*words, "红色"]


def test_word_pieces_know_every_word_and_do_not_grow() -> None:
    pieces = FastTokenizer(models.WordPiece({PADDING: 0, UNKNOWN: 1, "d": 2, "##o": 3, "##g": 4}, unk_token=UNKNOWN))
    tokenizer = Tokenizer(pieces, 6)
    assert tokenizer.extended(["cat"]) is tokenizer


def test_saved_and_read_again_it_is_the_same(tokenizer: Tokenizer, tmp_path: Path) -> None:
    tokenizer.save(tmp_path / "tokenizer.json")
    again = Tokenizer.from_file(tmp_path / "tokenizer.json", word_limit=6)
    again.save(tmp_path / "again.json")
    assert (tmp_path / "tokenizer.json").read_bytes() == (tmp_path / "again.json").read_bytes()
    for text in ("The man’s CAFÉ", "isn't a ferret", "ｒｅｄ"):
        assert read(again, text) == read(tokenizer, text)


@pytest.mark.parametrize("content", [b"", b"{}", b"not json", b"\xff\xfe", b'{"version": "1.0", "model": {}}'])
def test_a_foreign_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"tokenizer\.json: not a tokenizer file") as refusal:
        Tokenizer.from_file(path, 6)
    assert "\n" not in str(refusal.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"absent\.json: no such tokenizer file"):
        Tokenizer.from_file(tmp_path / "absent.json", 6)


def test_a_tokenizer_of_another_project_is_refused(tmp_path: Path) -> None:
    foreign = FastTokenizer(models.WordLevel({"PAD": 0, "UNK": 1}, unk_token="UNK"))
    foreign.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(ModelError, match=r"no \[PAD\] or no \[UNK\]"):
        Tokenizer.from_file(tmp_path / "tokenizer.json", 6)


def test_padding_and_truncation_of_a_file_do_not_apply(tmp_path: Path) -> None:
    padded = word_tokenizer({PADDING: 0, UNKNOWN: 1, "dog": 2})
    padded.enable_padding(length=5)
    padded.enable_truncation(2)
    padded.save(str(tmp_path / "tokenizer.json"))
    assert json.loads((tmp_path / "tokenizer.json").read_text())["padding"] is not None
    tokenizer = Tokenizer.from_file(tmp_path / "tokenizer.json", 4)
    assert tokenizer(["dog dog dog"]).word_ids_NL.tolist() == [[2, 2, 2]]
    assert tokenizer(["dog"]).word_ids_NL.tolist() == [[2]]
