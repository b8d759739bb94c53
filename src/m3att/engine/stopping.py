"""Ends a training between two steps when a signal asks for it, so that no step is lost."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from m3att.errors import StoppedError
from m3att.launched import process_count

ECHO = 5.0  # seconds in which a second Ctrl-C in one of several processes is the first one, passed on


def alone(number: int) -> int:
    """The largest number that any process has, where there is only this one."""
    return number


class Stopping:
    """A request to stop. While a training takes steps, the request waits until the end of the step.

    Args:
        say: gets one line when a request has to wait.
    """

    def __init__(self, say: Callable[[str], None] = lambda line: None) -> None:
        self.say = say
        self.signal: int | None = None
        self.since = 0.0  # when it was made, on the monotonic clock
        self.waits = False
        self.steps = False  # whether all processes wait, so that the step will come to its end

    @property
    def asked(self) -> bool:
        """Whether somebody has asked to stop."""
        return self.signal is not None

    def error(self) -> BaseException:
        """What the training ends with: KeyboardInterrupt after Ctrl-C, else StoppedError."""
        return KeyboardInterrupt() if self.signal == signal.SIGINT else StoppedError("stopped by SIGTERM")

    def receive(self, number: int, _: object = None) -> None:
        """Handle a signal.

        Args:
            number: of the signal.

        Raises:
            KeyboardInterrupt: at the second Ctrl-C, or outside of steps, where there is nothing to save.
            StoppedError: at SIGTERM outside of steps.
        """
        again = self.asked and number == signal.SIGINT  # a second SIGTERM does not ask for more than the first one
        if again and process_count() > 1 and time.monotonic() - self.since < ECHO:
            return  # torchrun passes on the Ctrl-C that the terminal has sent to each process already
        self.signal, self.since = number, time.monotonic()
        if again or not self.waits:
            raise self.error()
        if self.steps:
            self.announce()

    def announce(self) -> None:
        """Say that the request waits for the end of the step."""
        more = "; press Ctrl-C again to stop at once" if self.signal == signal.SIGINT else ""
        self.say(f"stopping at the end of this step, with a checkpoint{more}")

    @contextmanager
    def waiting(self, largest: Callable[[int], int] = alone) -> Iterator[None]:
        """Let requests wait; whoever enters this looks at `asked` after each step.

        Several processes begin together. A process that was asked before it came here has ended, and the others cannot
        take their step without it. So none of them promises a checkpoint before all are here.

        Args:
            largest: gives the largest of the numbers that the processes have, once each of them has come here.

        Raises:
            KeyboardInterrupt: where one of the processes was asked by Ctrl-C before all were here.
            StoppedError: likewise by SIGTERM.
        """
        self.waits = True
        try:
            try:
                asked = largest(self.signal or 0)
            except RuntimeError:
                if self.asked:  # as was the process that has ended
                    raise self.error() from None
                raise
            if asked:
                self.signal = self.signal or asked
                raise self.error()
            late = self.asked  # after this process has told the others its number
            self.steps = True
            if late:
                self.announce()
            yield
        finally:
            self.waits = self.steps = False

    def check(self) -> None:
        """End the work if a request has waited until now.

        Raises:
            KeyboardInterrupt: after Ctrl-C.
            StoppedError: after SIGTERM.
        """
        if self.asked:
            raise self.error()

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Receive SIGTERM, and SIGINT unless this process ignores it. Does nothing outside of the main thread.

        One of several processes that was asked to stop ignores both from then on: the launcher may pass on a signal
        that has come already, and it must not interrupt what the process does at its exit.

        Raises:
            KeyboardInterrupt: where whoever listened until now was asked, and a library that was loaded dropped that.
            StoppedError: likewise.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        numbers = [signal.SIGTERM, signal.SIGINT]
        before = {number: signal.getsignal(number) for number in numbers}
        try:
            for number, handler in before.items():
                if handler is not signal.SIG_IGN:
                    signal.signal(number, self.receive)
            outer = getattr(before[signal.SIGTERM], "__self__", None)
            if isinstance(outer, Stopping):
                outer.check()
            yield
        finally:
            several = process_count() > 1
            for number, handler in before.items():
                ending = several and (self.asked or signal.getsignal(number) is signal.SIG_IGN)
                signal.signal(number, signal.SIG_IGN if ending else handler)
