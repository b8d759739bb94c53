"""Messages of a length that a person reads."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m3att.errors import LONGEST, DataError, M3AttError, clipped, shown


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
