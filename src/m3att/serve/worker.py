"""A worker: a process of its own that holds the models, so that a crash costs no request but its own."""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from m3att.serve.limits import Limits
from m3att.serve.tasks import Answer, Task

if TYPE_CHECKING:
    from m3att.serve.desk import Desk


def work(connection: Connection, models: dict[str, str], device: str, backend: str, limits: Limits, share: int) -> None:
    """Load the models, then answer batches of tasks until the other side goes.

    It sends `("ready", models)` or `("unable", message)`, then for each batch the answers and `("idle", figures)`.

    Args:
        connection: to the service.
        models: names that users see, and what `Segmenter.from_pretrained` takes.
        device: see `Segmenter.from_pretrained`.
        backend: see `Segmenter.from_pretrained`.
        limits: see `m3att.serve.desk.Desk`.
        share: workers among which the processor's cores are divided.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the service, which ends its workers
    if share > 1:  # read when the library of networks is loaded
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // share)))
    from m3att.errors import M3AttError
    from m3att.serve.desk import Desk

    with suppress(EOFError, ConnectionError):  # the service is gone
        try:
            desk = Desk(models, device, backend, limits)
        except M3AttError as error:
            connection.send(("unable", str(error)))
            return
        connection.send(("ready", desk.describe()))
        while True:
            answer_batch(connection, desk, connection.recv())
            connection.send(("idle", figures(desk)))


def answer_batch(connection: Connection, desk: Desk, tasks: Sequence[Task]) -> None:
    """Send the answers to a batch. Where one task fails, those that have no answer yet are tried alone.

    Args:
        connection: to the service.
        desk: does the work.
        tasks: the batch.
    """
    left = {task.number: task for task in tasks}
    try:
        for answer in desk.answers(tasks):
            connection.send(answer)
            del left[answer.number]
    except ConnectionError:
        raise
    except Exception:  # a fault of ours or a lack of memory: told, and no other task suffers from it
        if len(tasks) > 1:
            for task in left.values():
                answer_batch(connection, desk, [task])
            return
        connection.send(("trouble", traceback.format_exc()))
        connection.send(Answer(tasks[0].number, code="failed", message="the service failed on this request"))


def figures(desk: Desk) -> dict[str, Any]:
    """What the metrics show of a worker."""
    return {
        "hits": desk.hits,
        "misses": desk.misses,
        "images": len(desk.scenes),
        "bytes": desk.scenes.bytes,
    }
