"""Messages of a length that a person reads."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m3att.errors import LONGEST, DataError, M3AttError, clipped, counted, did_you_mean, shown, unknown_option


def test_a_long_message_keeps_its_beginning_and_its_end() -> None:
    error = DataError("a.jsonl: " + "x" * 10_000 + ": mend it")
    assert str(error).startswith("a.jsonl: xxx") and str(error).endswith("xxx: mend it")
    assert len(str(error)) == LONGEST
    assert " ... " in str(error)
    assert str(M3AttError("short")) == "short" and DataError().args == ()


def test_the_last_line_of_a_traceback_stays() -> None:
    traceback = "Caught DataError in worker 0.\n" + "  File somewhere\n" * 100 + "m3att.errors.DataError: a: mend it"
    assert str(DataError(traceback)) == traceback


@given(st.text(max_size=2000), st.integers(20, 500))
def test_clipped_is_no_longer_than_asked(text: str, longest: int) -> None:
    assert len(clipped(text, longest)) <= longest
    assert len(text) > longest or clipped(text, longest) == text


@pytest.mark.parametrize(("value", "expected"), [("a", "'a'"), ([1, None], "[1, None]"), (b"\xff", "b'\\xff'")])
def test_a_short_value_is_shown_whole(value: object, expected: str) -> None:
    assert shown(value) == expected


@pytest.mark.parametrize("value", ["y" * 10**6, list(range(10**4)), b"z" * 10**6])
def test_a_long_value_is_cut(value: object) -> None:
    assert len(shown(value)) == 60 and shown(value).endswith("...")


def test_numbers_of_things() -> None:
    assert [counted(count, "image") for count in (0, 1, 2, 1200)] == ["0 images", "1 image", "2 images", "1,200 images"]


@pytest.mark.parametrize(
    ("word", "known", "end"),
    [
        ("--treshold", ["--threshold", "--threads"], ", did you mean --threshold?"),
        ("--threshold", ["--threads", "--evaluate.threshold"], ", did you mean --evaluate.threshold?"),
        ("seed", ["data.seed", "data.split", "train.seed"], ", did you mean data.seed or train.seed?"),
        ("a", ["v.a", "w.a", "x.a", "y.a"], ", did you mean v.a or w.a or x.a?"),
        ("xyz", ["--threshold"], ""),
        ("xyz", [], ""),
    ],
)
def test_what_an_unknown_word_may_mean(word: str, known: list[str], end: str) -> None:
    assert did_you_mean(word, known) == end


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--modle=x", "unknown option --modle, did you mean --model?"),
        ("--zzz", "unknown option --zzz; see m3att serve --help"),
        ("-q", "unknown option -q; see m3att serve --help"),
    ],
)
def test_an_unknown_option_is_named_with_the_nearest(option: str, said: str) -> None:
    complaint = f"unrecognized arguments: {option} and more"
    assert unknown_option(complaint, ["--model", "--port"], "m3att serve") == said
    assert unknown_option("expected one argument", ["--model"], "m3att serve") is None
