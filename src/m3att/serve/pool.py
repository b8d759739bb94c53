"""The queue of tasks and the worker processes that empty it."""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from threading import Condition, Thread
from typing import Any, Protocol

from m3att.errors import ModelError
from m3att.serve.limits import Refusal

TRIES = 2
"""Times that a task is tried if the worker that has it ends. What ends two workers is most likely the cause."""
BATCH = 16
"""Most tasks that a worker gets at once."""
RESTS = (0.0, 0.0, 1.0, 5.0)
"""Seconds of rest before a worker is started again, by the number of failures in a row."""


class Numbered(Protocol):
    """A task as the pool sees it."""

    @property
    def number(self) -> int:
        """Of the task."""


@dataclass
class Job:
    """A task and the promise of its answer.

    Args:
        task: what the worker gets.
        tries: how often a worker has begun it.
    """

    task: Numbered
    answer: Future[Any] = field(default_factory=Future)
    tries: int = 0


@dataclass
class Figures:
    """What the pool counts, for the metrics.

    Args:
        restarts: workers that ended and were started again.
        batches: batches done.
        tasks: tasks in them.
        workers: what each worker said last.
    """

    restarts: int = 0
    batches: int = 0
    tasks: int = 0
    workers: dict[int, dict[str, Any]] = field(default_factory=dict)


class Pool:
    """Worker processes behind one queue. A worker that ends is started again, and its tasks are tried once more.

    Args:
        target: runs in each worker; gets its connection, then the arguments. See `m3att.serve.worker.work`.
        arguments: of the target.
        workers: number of processes.
        seconds: a worker that says nothing for so long on a batch is ended.
    """

    def __init__(self, target: Callable[..., None], arguments: tuple[Any, ...], workers: int, seconds: float) -> None:
        self.target, self.arguments, self.seconds = target, arguments, seconds
        self.figures = Figures()
        self.alive = 0
        self._context = multiprocessing.get_context("spawn")  # a fork of a process with threads may hang
        self._jobs: deque[Job] = deque()
        self._change = Condition()
        self._closing = False
        self._processes: dict[int, BaseProcess] = {}
        self._first: list[Future[Any]] = [Future() for _ in range(workers)]
        self._threads = [Thread(target=self._serve, args=(number,), daemon=True) for number in range(workers)]

    def open(self) -> Any:
        """Start the workers and wait for them.

        Returns:
            What the first worker says of itself.

        Raises:
            ModelError: where one cannot start.
        """
        for thread in self._threads:
            thread.start()
        try:
            said = [first.result() for first in self._first]
        except BaseException:
            self.close()
            raise
        return said[0]

    def submit(self, job: Job) -> None:
        """Put a task into the queue. Its future gets the answer, or a Refusal; it may be cancelled.

        Raises:
            Refusal: where the service is closing.
        """
        with self._change:
            if self._closing:
                raise Refusal("no_worker", "the service is closing")
            self._jobs.append(job)
            self._change.notify()

    def __len__(self) -> int:
        """Tasks that wait."""
        return len(self._jobs)

    def close(self) -> None:
        """End the workers. Tasks without an answer are refused."""
        with self._change:
            self._closing = True
            self._change.notify_all()
        for process in list(self._processes.values()):
            with suppress(ValueError):  # its thread has ended it in this moment
                process.terminate()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(5.0)
        while self._jobs:
            settle(self._jobs.popleft(), Refusal("no_worker", "the service is closing"))

    def _serve(self, number: int) -> None:
        """The life of one worker after the other, in a thread."""
        failures = 0
        while not self._closing:
            time.sleep(RESTS[min(failures, len(RESTS) - 1)])
            try:
                connection = self._start(number)
            except ModelError as error:
                failures += 1
                if not self._first[number].done():
                    self._first[number].set_exception(error)
                    return
                print(f"m3att: error: a worker did not start: {error}", file=sys.stderr, flush=True)
                continue
            failures = 0
            self.alive += 1
            try:
                while batch := self._take():
                    self._hand_over(number, connection, batch)
            except (EOFError, OSError):
                self.figures.restarts += 1
                if not self._closing:
                    print("m3att: note: a worker ended and is started again", file=sys.stderr, flush=True)
            finally:
                self.alive -= 1
                self._end(number, connection)

    def _start(self, number: int) -> Connection:
        """A new process that is ready.

        Raises:
            ModelError: where it is not.
        """
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=self.target, args=(theirs, *self.arguments), daemon=True)
        process.start()
        theirs.close()
        self._processes[number] = process
        try:
            word, said = ours.recv()
        except (EOFError, OSError):
            word, said = "unable", "the process ended before it was ready"
        if word != "ready":
            self._end(number, ours)
            raise ModelError(str(said))
        if not self._first[number].done():
            self._first[number].set_result(said)
        return ours

    def _end(self, number: int, connection: Connection) -> None:
        connection.close()
        process = self._processes.pop(number)
        process.kill()
        process.join()
        process.close()

    def _take(self) -> list[Job]:
        """The next batch; empty where the service closes. A task that was begun before is alone."""
        with self._change:
            while True:
                self._change.wait_for(lambda: self._jobs or self._closing)
                if self._closing:
                    return []
                batch: list[Job] = []
                while self._jobs and len(batch) < BATCH:
                    if batch and (self._jobs[0].tries or batch[0].tries):
                        break
                    job = self._jobs.popleft()
                    if not job.answer.cancelled():
                        batch.append(job)
                if batch:
                    return batch

    def _hand_over(self, number: int, connection: Connection, batch: list[Job]) -> None:
        """Have a batch done.

        Raises:
            EOFError, OSError: where the worker ended; what it left is in the queue again.
        """
        left = {job.task.number: job for job in batch}
        for job in batch:
            job.tries += 1
        self.figures.batches += 1
        self.figures.tasks += len(batch)
        try:
            connection.send([job.task for job in batch])
            while True:
                if not connection.poll(self.seconds):
                    raise EOFError  # it hangs
                said = connection.recv()
                if not isinstance(said, tuple):
                    settle(left.pop(said.number), said)
                elif said[0] == "trouble":
                    print(said[1], file=sys.stderr, flush=True)
                else:
                    self.figures.workers[number] = said[1]
                    return
        except (EOFError, OSError):
            self._again(left.values())
            raise

    def _again(self, jobs: Any) -> None:
        """Put what a worker left back to the front of the queue, or refuse what has had its tries."""
        with self._change:
            for job in reversed(list(jobs)):
                if job.tries >= TRIES:
                    settle(job, Refusal("failed", "the service failed twice on this request"))
                else:
                    self._jobs.appendleft(job)
            self._change.notify_all()


def settle(job: Job, answer: Any) -> None:
    """Give a job its answer, or raise the refusal where somebody waits for it."""
    with suppress(InvalidStateError):  # who asked may have given up in this moment
        if isinstance(answer, Exception):
            job.answer.set_exception(answer)
        else:
            job.answer.set_result(answer)
