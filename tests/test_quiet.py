"""Warnings are kept back while a file is read, and come back whatever threads do."""

from __future__ import annotations

import threading
import warnings

import pytest

from m3att.quiet import no_warnings


def test_warnings_are_kept_back_and_come_back() -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        with no_warnings(), no_warnings():
            warnings.warn("not news", stacklevel=1)
        warnings.warn("news", stacklevel=1)
    assert [str(one.message) for one in seen] == ["news"]


def test_threads_that_overlap_leave_the_filters_as_they_were() -> None:
    before = list(warnings.filters)
    entered, left = threading.Event(), threading.Event()

    def overlap() -> None:
        with no_warnings():
            entered.set()
            left.wait(10)

    second = threading.Thread(target=overlap)
    with no_warnings():
        second.start()
        assert entered.wait(10)
    # The first has left, the second has not: warnings.catch_warnings alone would now restore the wrong filters.
    left.set()
    second.join()
    assert list(warnings.filters) == before


def test_an_error_passes_and_the_filters_come_back() -> None:
    before = list(warnings.filters)
    with pytest.raises(ZeroDivisionError), no_warnings():
        raise ZeroDivisionError
    assert list(warnings.filters) == before
