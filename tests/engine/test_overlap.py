"""What is read, computed and finished beside each other keeps its order, and errors come through."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from m3att.engine.overlap import overlapped


def test_everything_is_computed_and_finished_in_order() -> None:
    finished: list[tuple[int, int]] = []
    overlapped(iter(range(20)), lambda item: item * item, lambda item, result: finished.append((item, result)))
    assert finished == [(item, item * item) for item in range(20)]


def test_no_items_are_no_work() -> None:
    overlapped(iter(()), lambda item: pytest.fail("computed"), lambda item, result: pytest.fail("finished"))


def test_reading_and_finishing_share_one_thread_and_the_next_item_is_read_while_one_is_computed() -> None:
    threads: set[int] = set()
    read = [threading.Event() for _ in range(3)]

    def items() -> Iterator[int]:
        for number, event in enumerate(read):
            threads.add(threading.get_ident())
            event.set()
            yield number

    def compute(item: int) -> int:
        assert threading.get_ident() not in threads
        if item < 2:
            assert read[item + 1].wait(10)  # else reading would wait for this
        return item

    overlapped(items(), compute, lambda item, result: threads.add(threading.get_ident()))
    assert len(threads) == 1


def test_at_most_two_items_exist_beside_the_finished_ones() -> None:
    done: list[int] = []
    ahead: list[int] = []

    def items() -> Iterator[int]:
        for number in range(10):
            ahead.append(number - len(done))
            yield number

    overlapped(items(), lambda item: item, lambda item, result: done.append(item))
    assert max(ahead) == 1  # item n is read once item n - 2 is finished


@pytest.mark.parametrize("where", ["read", "compute", "finish"])
def test_an_error_comes_through_and_nothing_later_is_finished(where: str) -> None:
    finished: list[int] = []

    def stop(place: str, item: int) -> int:
        if place == where and item == 3:
            raise ValueError(place)
        return item

    def finish(item: int, result: int) -> None:
        finished.append(stop("finish", item))

    with pytest.raises(ValueError, match=where):
        overlapped((stop("read", item) for item in range(9)), lambda item: stop("compute", item), finish)
    assert finished == [0, 1, 2]
