"""The runs of ablation tables: where they lie, what is left to do, and doing it a few at a time.

A run is a training and a scoring in a process of its own (`ablation_run`), so that a crash takes one run with it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from m3att.ablations import TABLES, Row, Table, row_config
from m3att.app.ablation.rates import row_folder, tuned_config
from m3att.app.run_settings import FREE_ON_RESUME
from m3att.config import RunConfig
from m3att.engine.run_folder import RunFolder
from m3att.errors import ConfigError, DataError
from m3att.settings import config_to_dict, differences

RESULT = "result.json"
LOCK = ".lock"
POLL_SECONDS = 0.1
# A killed command leaves runs that notice it at their next step, and readers that take some seconds more.
LOCK_SECONDS = 60.0


@dataclass(frozen=True)
class Run:
    """One row with one seed.

    Args:
        folder: of the run, that of another table where the same run is there already.
        config: its settings.
        row: its row.
        seed: its seed.
        name: what messages call it.
    """

    folder: Path
    config: RunConfig
    row: Row
    seed: int
    name: str

    def result(self, images: int | None) -> dict[str, Any] | None:
        """What the run left, if it is done and was scored on the images that are asked for."""
        found = read_result(self.folder)
        return found if found and (found["state"] != "finished" or found["images_asked"] == images) else None


def plan(base: RunConfig, table: Table, rows: Iterable[Row], seeds: Sequence[int], out: Path) -> list[Run]:
    """The runs of a table, all rows of a seed before the next seed, so that a partial table compares rows.

    Args:
        base: what the rows are laid over.
        table: the table.
        rows: those of its rows that are wanted.
        seeds: the seeds of each.
        out: folder of all tables.

    Raises:
        ConfigError: where a row does not fit the base.
    """
    chosen, places, runs = list(rows), dict[RunConfig, Path](), []
    for seed in seeds:
        for row in chosen:
            config = tuned_config(base, table, row, seed, out)
            # Rows that are the same network, such as one half of each pair of the open points, share a run.
            folder = places.setdefault(config, run_folder(base, table, row, seed, out))
            runs.append(Run(folder, config, row, seed, f"table {table.name}, {row.name}, seed {seed}"))
    return runs


def run_folder(base: RunConfig, table: Table, row: Row, seed: int, out: Path) -> Path:
    """Where a run lies: under its own table and row, or where another row or table has the very same run already.

    Args:
        base: settings that every row starts from.
        table: of the paper.
        row: of the table.
        seed: of the run.
        out: folder of the runs.
    """
    own = folder_name(table, row, seed, out)
    if RunFolder(own).is_run:
        return own
    config = tuned_config(base, table, row, seed, out)
    for other in TABLES.values():
        for twin in fitting_rows(base, other):
            folder = folder_name(other, twin, seed, out)
            if RunFolder(folder).is_run and tuned_config(base, other, twin, seed, out) == config:
                return folder
    return own


def fitting_rows(base: RunConfig, table: Table) -> list[Row]:
    """The rows of a table that can be laid over the base at all."""
    fitting = []
    for row in table.rows:
        try:
            row_config(base, row, 0)
        except ConfigError:
            continue  # asked for by name it is refused with this error
        fitting.append(row)
    return fitting


def folder_name(table: Table, row: Row, seed: int, out: Path) -> Path:
    """`OUT/table-2/ours/seed-0`.

    Args:
        table: of the paper.
        row: of the table.
        seed: of the run.
        out: folder of the runs.
    """
    return row_folder(table, row, out) / f"seed-{seed}"


def seeds_found(table: Table, out: Path) -> list[int]:
    """The seeds that runs of a table, or of its twins in others, were started with."""
    folders = [folder for other in TABLES for folder in (out / f"table-{other}").glob("*/seed-*")]
    names = {row.name for row in table.rows}
    own = [folder for folder in folders if folder.parent.parent.name == f"table-{table.name}"]
    chosen = [folder for folder in own if folder.parent.name in names] or folders
    return sorted({int(folder.name.removeprefix("seed-")) for folder in chosen})


def check_folder(base: RunConfig, runs: Iterable[Run], out: Path) -> None:
    """Refuse a folder, or a run in it, that was made with other settings.

    Args:
        base: settings that every row starts from.
        runs: that are to be made there.
        out: folder of the runs.

    Raises:
        ConfigError: names the first setting that differs.
    """
    places = [(out, base)] + [(run.folder, run.config) for run in runs]
    for folder, config in places:
        if not RunFolder(folder).is_run:
            continue
        # The seed of the base is only the first of the seeds.
        free = FREE_ON_RESUME | ({"train.seed"} if folder == out else set())
        for key, (saved, wanted) in differences(RunFolder(folder).read_config(), config).items():
            if key not in free:
                raise ConfigError(f"{folder}: was made with {key} {saved}, not {wanted}; give that, or another --out")


def read_result(folder: Path) -> dict[str, Any] | None:
    """What a run left, or None where it is not done.

    Raises:
        DataError: where the file is none of a run.
    """
    path = folder / RESULT
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if found["state"] not in ("finished", "failed"):
            raise ValueError
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: not the result of a run; delete it, and the run is scored again") from error
    return found


def run_all(runs: Sequence[Run], images: int | None, jobs: int, lock: int, done: Callable[[Run, int], None]) -> None:
    """Train and score runs, some at a time; an interruption stops all of them.

    Args:
        runs: in this order.
        images: of the split that each is scored on; None: all.
        jobs: runs at a time; each has one thread where there are several, unless the settings say otherwise.
        lock: of `hold`; each run holds it too, so that no second command touches what a stray run still writes.
        done: called after each run with its exit code.
    """
    waiting, running = deque(runs), dict[subprocess.Popen[str], Run]()
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                run = waiting.popleft()
                running[start(run, images, jobs, lock)] = run
            time.sleep(POLL_SECONDS)
            for process, run in list(running.items()):
                code = process.poll()
                if code is not None:
                    del running[process]
                    done(run, code)
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait()


def start(run: Run, images: int | None, jobs: int, lock: int) -> subprocess.Popen[str]:
    """Start a run's process.

    Args:
        run: to train and score.
        images: validation images that are scored at most.
        jobs: processes at a time; several get one thread each.
        lock: descriptor of the lock of the folder, which the process inherits.
    """
    config = run.config
    if jobs > 1 and config.train.threads is None:
        config = replace(config, train=replace(config.train, threads=1))
    order = {
        "folder": str(run.folder),
        "config": config_to_dict(config),
        "images": images,
        "name": run.name,
        "parent": os.getpid(),
    }
    environment = {**os.environ, "OMP_NUM_THREADS": str(config.train.threads)} if config.train.threads else None
    # In a session of its own: Ctrl-C reaches this process alone, which then ends the others without their tracebacks.
    process = subprocess.Popen(
        [sys.executable, "-m", "m3att.app.ablation.run"],
        stdin=subprocess.PIPE,
        text=True,
        pass_fds=(lock,),
        start_new_session=True,
        env=environment,
    )
    assert process.stdin is not None
    with process.stdin as pipe:
        json.dump(order, pipe)
    return process


@contextmanager
def hold(out: Path) -> Iterator[int]:
    """Hold a folder against other commands.

    Raises:
        ConfigError: where another one is at work there, or the system has no such locks.
    """
    try:
        import fcntl
    except ImportError as error:  # here, since the whole command line imports this module
        raise ConfigError("m3att ablate needs file locks as Linux and macOS have them") from error
    out.mkdir(parents=True, exist_ok=True)
    with (out / LOCK).open("w") as file:
        begun = time.monotonic()
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() - begun > LOCK_SECONDS:
                    raise ConfigError(f"{out}: another m3att ablate works in this folder; wait for it to end") from None
                time.sleep(POLL_SECONDS)
        yield file.fileno()
