"""Measures how long a data set takes to open, with and without cache, and how much memory its workers need."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

_CHILD = "from m3att.bench.open_cost import open_once; open_once()"
_READ = 40  # images that each worker reads before its memory is taken


def measure_opening(
    root: Path | str, dataset: str, split_by: str, split: str, workers: int = 8, image_root: Path | None = None
) -> dict[str, Any]:
    """Opens a split three times in processes of their own: without a cache, then from it, then with workers.

    Args:
        root: folder of the data set.
        dataset: its name.
        split_by: who made the split.
        split: its name.
        workers: processes that are forked from the opened source.
        image_root: folder of the photos; None: looked for.

    Returns:
        ``expressions`` and ``images`` of the split and ``bytes`` of its files; ``cold`` and ``cached``, each with
        ``seconds`` on the clock, ``cpu_seconds``, and ``peak_mb``, the most memory that was resident, libraries
        included; ``workers``, the memory of all processes in MB by number of workers, shared pages counted once (only
        on Linux; empty elsewhere).

    Raises:
        DataError: where the data set cannot be opened.
    """
    words = [str(root), dataset, split_by, split, "" if image_root is None else str(image_root)]
    with tempfile.TemporaryDirectory() as cache:
        cold, cached = (_in_process(words, 0, cache) for _ in range(2))
        memory = {}
        if Path("/proc/self/smaps_rollup").is_file():
            memory = {str(count): _in_process(words, count, cache)["proportional_mb"] for count in (0, workers)}
    facts = {key: cold.pop(key) for key in ("expressions", "images", "bytes")}
    for figures in (cold, cached):
        del figures["proportional_mb"]
    return {**facts, "cold": cold, "cached": {key: cached[key] for key in cold}, "workers": memory}


def open_once() -> None:
    """Opens what the command line names and prints the figures; the child of `measure_opening`."""
    import time

    root, dataset, split_by, split, image_root, workers = sys.argv[1:]
    from m3att.data.refer.source import ReferSource
    from m3att.data.refer.tables import open_tables
    from m3att.device import peak_resident
    from m3att.errors import M3AttError

    clock, spent = time.perf_counter(), time.process_time()
    try:
        source = ReferSource(root, dataset, split_by, split, image_root=image_root or None)
    except M3AttError as error:
        print(json.dumps({"error": str(error)}))
        return
    clock, spent = time.perf_counter() - clock, time.process_time() - spent
    peak = peak_resident()
    folder = open_tables(Path(root), dataset, split_by, split).folder
    figures = {
        "expressions": sum(source.expression_count(index) for index in range(len(source))),
        "images": len(source),
        "bytes": sum(path.stat().st_size for path in folder.iterdir() if path.is_file()),
        "seconds": clock,
        "cpu_seconds": spent,
        "peak_mb": None if peak is None else peak / 2**20,
        "proportional_mb": _memory_with_workers(source, int(workers)),
    }
    print(json.dumps(figures))


def _in_process(words: list[str], workers: int, cache: str) -> dict[str, Any]:
    from m3att.errors import DataError

    command = [sys.executable, "-c", _CHILD, *words, str(workers)]
    done = subprocess.run(command, env={**os.environ, "M3ATT_CACHE": cache}, capture_output=True, text=True)
    if done.returncode != 0:
        raise DataError(f"opening failed: {done.stderr.strip().splitlines()[-1]}")
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    if "error" in figures:
        raise DataError(figures["error"])
    return figures


def _memory_with_workers(source: Any, workers: int) -> float:
    """Memory of this process and of forked ones that read different images, in MB; pages they share count once."""
    if not Path("/proc/self/smaps_rollup").is_file():
        return 0.0
    context = multiprocessing.get_context("fork")
    pipes, children = [], []
    for number in range(workers):
        ours, theirs = context.Pipe()
        child = context.Process(target=_read_and_wait, args=(source, number, workers, theirs), daemon=True)
        child.start()
        pipes.append(ours)
        children.append(child)
    for pipe in pipes:
        pipe.recv()  # all have read, and all are alive while memory is taken
    if not workers:
        _read_some(source, 0, 1)
    total = _proportional(os.getpid()) + sum(_proportional(child.pid) for child in children if child.pid)
    for pipe, child in zip(pipes, children, strict=True):
        pipe.send("done")
        child.join()
    return total


def _read_and_wait(source: Any, number: int, workers: int, pipe: Connection) -> None:
    _read_some(source, number, workers)
    pipe.send("read")
    pipe.recv()


def _read_some(source: Any, number: int, workers: int) -> None:
    """Touches every text and reads a few images, a different part for each worker."""
    for _ in source.texts():
        pass
    for index in range(number, min(len(source), _READ * workers), workers):
        source.read(index)


def _proportional(process: int) -> float:
    """Proportional set size in MB: each page divided by the processes that have it."""
    for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0
