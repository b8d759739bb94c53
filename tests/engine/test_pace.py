"""The share of the time that a training waits for data."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from m3att.engine import pace
from m3att.engine.pace import Pace


def test_waiting_is_counted_and_working_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(pace.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(pace, "peak_memory", lambda device: 3 * 2**29)

    def items() -> Iterator[int]:
        for number in range(3):
            now[0] += 1.0  # the data take a second
            yield number

    watch = Pace(torch.device("cpu"))
    seen, shares = [], []
    for number in watch.watched(items()):
        seen.append(number)
        now[0] += 3.0  # and the step three
        if number == 1:
            shares.append(watch.figures())
    assert seen == [0, 1, 2]
    assert shares == [{"data_wait": 0.25, "memory_gib": 1.5}]
    assert watch.figures() == {"data_wait": 0.25, "memory_gib": 1.5}  # counted anew
    monkeypatch.setattr(pace, "peak_memory", lambda device: None)
    now[0] += 1.0
    assert watch.figures() == {"data_wait": 0.0}


def test_an_error_of_the_data_goes_through() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        list(Pace(torch.device("cpu")).watched(items()))


def test_memory_is_that_of_this_process() -> None:
    found = Pace(torch.device("cpu")).figures()
    assert 0.01 < found["memory_gib"] < 1000
