"""Signals that stop a training: which wait for the end of a step, and which do not."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from m3att.engine.stopping import ECHO, Stopping
from m3att.errors import StoppedError


@pytest.fixture(autouse=True)
def heard() -> Iterator[None]:
    """Ctrl-C is heard, also where a shell started the tests in the background, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


ERRORS = {signal.SIGTERM: StoppedError, signal.SIGINT: KeyboardInterrupt}


@pytest.mark.parametrize("number", ERRORS)
def test_outside_of_steps_a_request_ends_the_work_at_once(number: signal.Signals) -> None:
    stop = Stopping()
    with stop.listening(), pytest.raises(ERRORS[number]):
        os.kill(os.getpid(), number)
    assert stop.asked  # a request that Python loses inside a finalizer still counts


def test_a_request_that_a_library_dropped_while_it_was_loaded_is_heard_by_whoever_listens_next() -> None:
    with Stopping().listening():
        with suppress(Exception):  # as libraries do around what they may import
            os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(StoppedError), Stopping().listening():
            pytest.fail("went on")
        assert isinstance(signal.getsignal(signal.SIGTERM).__self__, Stopping)  # type: ignore[union-attr]


def test_between_steps_a_request_waits_but_a_second_ctrl_c_does_not() -> None:
    said: list[str] = []
    stop = Stopping(said.append)
    with stop.listening(), stop.waiting():
        stop.check()
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGTERM)
        assert stop.asked and len(said) == 2
        with pytest.raises(StoppedError, match="stopped by SIGTERM"):
            stop.check()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("number", ERRORS)
def test_no_checkpoint_is_promised_before_all_processes_take_steps(number: signal.Signals) -> None:
    """One that was asked earlier has ended at once, and without it no step comes to its end."""

    def with_own(own: int) -> int:  # while this process waits for the others
        os.kill(os.getpid(), number)
        return own

    def with_other(own: int) -> int:
        return max(own, number)

    def lost(own: int) -> int:
        os.kill(os.getpid(), number)
        raise RuntimeError("Connection closed by peer")

    said: list[str] = []
    stop = Stopping(said.append)
    with stop.listening(), pytest.raises(ERRORS[number]), stop.waiting(lost):
        pytest.fail("went on")
    assert not said and not stop.waits

    stop = Stopping(said.append)
    with stop.listening(), pytest.raises(ERRORS[number]), stop.waiting(with_other):
        pytest.fail("went on")
    assert not said

    stop = Stopping(said.append)
    with stop.listening():
        with stop.waiting(with_own):  # the others have not heard of it, and take the step
            assert stop.asked and len(said) == 1 and "with a checkpoint" in said[0]
        assert not stop.steps


def test_in_several_processes_a_ctrl_c_that_the_launcher_passes_on_asks_for_nothing_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    said: list[str] = []
    stop = Stopping(said.append)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with Stopping().listening():
            with stop.listening(), stop.waiting():
                for _ in range(2):  # from the terminal, and from torchrun
                    os.kill(os.getpid(), signal.SIGINT)
                assert stop.asked and len(said) == 1
                stop.since -= ECHO
                with pytest.raises(KeyboardInterrupt):
                    os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)  # nor while the process ends
        for number in before:
            os.kill(os.getpid(), number)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_handlers_are_given_back_and_an_ignored_interrupt_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN), signal.getsignal(signal.SIGTERM)
    try:
        stop = Stopping()
        with stop.listening():
            os.kill(os.getpid(), signal.SIGINT)
            assert not stop.asked
            assert signal.getsignal(signal.SIGTERM) == stop.receive
        assert signal.getsignal(signal.SIGTERM) == before[1]
    finally:
        signal.signal(signal.SIGINT, before[0])


def test_another_thread_trains_without_signals() -> None:
    found = []

    def work() -> None:
        with Stopping().listening():
            found.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [before]
