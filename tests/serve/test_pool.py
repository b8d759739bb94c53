"""Workers that end, hang or do not start, with a worker that obeys."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from m3att.errors import ModelError
from m3att.serve.limits import Refusal
from m3att.serve.pool import Job, Pool

# A module of its own, because a spawned process imports it by its name.
OBEDIENT = '''
import os, time
from dataclasses import dataclass

def work(connection, file):
    """Answers with the word and its own number; dies at `die`, once at `once`, hangs at `hang`."""
    if not file:
        connection.send(("unable", "no such model"))
        return
    connection.send(("ready", os.getpid()))
    while True:
        try:
            tasks = connection.recv()
        except EOFError:
            return
        for task in tasks:
            if task.word == "die" or (task.word == "once" and not os.path.exists(file)):
                open(file, "w").close()
                os._exit(9)
            if task.word == "hang":
                time.sleep(60)
            connection.send(Said(task.number, f"{task.word} of {len(tasks)}"))
        connection.send(("idle", {}))

@dataclass(frozen=True)
class Order:
    number: int
    word: str

@dataclass(frozen=True)
class Said:
    number: int
    text: str
'''


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("obedient")
    (folder / "obedient_worker.py").write_text(OBEDIENT, encoding="utf-8")
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))


def orders(*words: str) -> list[Job]:
    from obedient_worker import Order

    return [Job(Order(number, word)) for number, word in enumerate(words)]


def opened(folder: Path, file: str, seconds: float = 60.0) -> Pool:
    from obedient_worker import work

    pool = Pool(work, (file,), 1, seconds)
    pool.open()
    return pool


def outcome(job: Job) -> str:
    try:
        return str(job.answer.result(60).text)
    except Refusal as refusal:
        return refusal.code


def test_a_worker_that_dies_costs_only_the_task_that_kills_it(folder: Path) -> None:
    pool = opened(folder, str(folder / "died"))
    try:
        jobs = orders("one", "once", "two", "die", "three")
        for job in jobs:
            pool.submit(job)
        told = [outcome(job) for job in jobs]
        assert [text.partition(" ")[0] for text in told] == ["one", "once", "two", "failed", "three"]
        assert pool.figures.restarts in (2, 3) and pool.figures.tasks > 5  # as the batches happen to be cut
        late = orders("later")[0]
        pool.submit(late)
        assert outcome(late) == "later of 1"
    finally:
        pool.close()
    with pytest.raises(Refusal):
        pool.submit(orders("after")[0])


def test_a_worker_that_hangs_is_ended_and_a_cancelled_task_is_not_begun(folder: Path) -> None:
    pool = opened(folder, "x", seconds=0.5)
    try:
        hanging, cancelled = orders("hang", "never")
        cancelled.answer.cancel()
        pool.submit(hanging)
        pool.submit(cancelled)
        assert outcome(hanging) == "failed" and pool.figures.restarts == 2
        assert cancelled.tries == 0
    finally:
        pool.close()


def test_a_model_that_cannot_be_loaded_is_told(folder: Path) -> None:
    with pytest.raises(ModelError, match="no such model"):
        opened(folder, "")
