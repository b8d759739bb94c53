"""Unknown words are read as their nearest known spelling: rules first, then errors, then frequency; all of it named."""

from __future__ import annotations

import subprocess
import sys
from functools import cache

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as FastTokenizer
from tokenizers import models, pre_tokenizers

from m3att.data.spelling import SpellingTokenizer
from m3att.data.text import Tokenizer

KNOWN = [
    *("the", "man", "woman", "girl", "couch", "firetruck", "skateboard", "children", "glasses", "knife", "cow", "red"),
    *("cat", "umbrella", "umbrellas", "house", "shirt", "shirts", "skirt", "café", "dog", "bowl", "left"),
]
# The first word stands most often, as in the expressions of a training.
TEXTS = [" ".join(KNOWN[: number + 1]) for number in range(len(KNOWN))]
EXACT = Tokenizer.from_texts(TEXTS, word_limit=6)
SPELLING = SpellingTokenizer(EXACT)
LETTERS = "abcdefghijklmnopqrstuvwxyz"


@cache
def errors_between(one: str, other: str) -> int:
    """Missing, added, wrong and exchanged letters between two words, by the plain recursion over their ends."""
    if not one or not other:
        return len(one) + len(other)
    found = [
        errors_between(one[:-1], other) + 1,
        errors_between(one, other[:-1]) + 1,
        errors_between(one[:-1], other[:-1]) + (one[-1] != other[-1]),
    ]
    if one[-2:] == other[-2:][::-1] and len(one) > 1:
        found.append(errors_between(one[:-2], other[:-2]) + 1)
    return min(found)


@pytest.mark.parametrize(
    ("typed", "known"),
    [
        ("womam", "woman"),
        ("gilr", "girl"),
        ("igrl", "girl"),
        ("couches", "couch"),
        ("firetruck's", "firetruck"),
        ("firetruk’s", "firetruck"),
        ("skatebords", "skateboard"),
        ("child", "children"),
        ("women", "woman"),
        ("knives", "knife"),
        ("glass", "glasses"),
        ("cows", "cow"),
        ("WOMAM", "woman"),
        ("cafés", "café"),
        ("umbrelas", "umbrellas"),
        ("skirrt", "skirt"),
    ],
)
def test_a_misspelt_word_is_read_as_the_nearest_known_one(typed: str, known: str) -> None:
    found = SPELLING.respell(f"the {typed}, left")
    assert found == (f"the {known}, left", ((typed, known),))
    assert SPELLING([f"the {typed}, left"]).word_ids_NL.equal(EXACT([f"the {known}, left"]).word_ids_NL)


@pytest.mark.parametrize(
    "typed",
    [
        "cax",
        "ct",
        "hhe",
        "quokka",
        "xouch",
        "gxxl",
        "umb",
        "2nd",
        "th3",
        "小",
        "wmn",
        "as",
        "mna",
        "x" * 100_000,
        "coohc",
    ],
)
def test_what_is_too_far_or_too_short_stays_unknown(typed: str) -> None:
    assert SPELLING.respell(f"the {typed}") == (f"the {typed}", ())
    assert SPELLING([f"the {typed}"]).partly_unknown == 1


def test_of_equally_near_words_the_most_frequent_is_read() -> None:
    def reading(texts: list[str]) -> str | None:
        return SpellingTokenizer(Tokenizer.from_texts(texts, 6)).nearest("shkrt")

    assert reading(["shirt shirt", "short"]) == "shirt"
    assert reading(["shirt", "short short"]) == "short"


def test_every_reading_is_named_in_order_and_only_what_is_read() -> None:
    found = SPELLING.respell("gilr womam the quokka gilr left womam shirrt")
    assert found.read_as == (("gilr", "girl"), ("womam", "woman"))  # each once
    assert found.text == "girl woman the quokka girl left womam shirrt"  # what lies beyond six words is not read


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=40))
def test_any_text_keeps_its_known_words_and_gets_no_unknown_reading(text: str) -> None:
    respelled, read_as = SPELLING.respell(text)
    assert all(known in KNOWN for _, known in read_as)
    before, after = EXACT.unknown_words(text), EXACT.unknown_words(respelled)
    assert len(after) <= len(before) and (respelled == text) == (not read_as)
    assert SPELLING.respell(respelled).text == respelled  # nothing is left to read


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([word for word in KNOWN if len(word) >= 4 and word.isascii()]), st.data())
def test_one_error_behind_the_first_letter_is_read_as_a_word_one_error_away(word: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(1, len(word) - 1))
    letter = data.draw(st.sampled_from(LETTERS))
    kinds = [word[:at] + letter + word[at:], word[:at] + letter + word[at + 1 :], word[:at] + word[at + 1 :]]
    typed = data.draw(st.sampled_from(kinds))
    assume(typed not in KNOWN and len(typed) >= 4)
    known = SPELLING.by_errors(typed)
    assert known is not None and errors_between(typed, known) == 1
    nearest = [word for word in KNOWN if word[0] == typed[0] and len(word) > 2 and errors_between(typed, word) == 1]
    assert known == nearest[0]  # KNOWN stands in the order of frequency


def test_a_tokenizer_of_word_pieces_reads_as_before() -> None:
    pieces = FastTokenizer(
        models.WordPiece({"[PAD]": 0, "[UNK]": 1, "wo": 2, "##man": 3, "woman": 4}, unk_token="[UNK]")
    )
    pieces.pre_tokenizer = pre_tokenizers.Whitespace()
    exact = Tokenizer(pieces, word_limit=6)
    found = SpellingTokenizer(exact)
    assert found.respell("womam 小") == ("womam 小", ())
    assert found(["wo womam"]).word_ids_NL.equal(exact(["wo womam"]).word_ids_NL)


def test_spelling_needs_no_torch_and_known_words_no_search() -> None:
    program = (
        "import sys; from m3att.data.spelling import SpellingTokenizer; from m3att.data.text import Tokenizer;"
        "t = SpellingTokenizer(Tokenizer.from_texts(['the woman'], 6)); t.respell('the woman');"
        "assert 'rapidfuzz' not in sys.modules; t.respell('the womam'); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
