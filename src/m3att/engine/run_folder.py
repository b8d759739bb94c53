"""The folder of a run: the names of its files, and what they contain. It does not import PyTorch."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from m3att.config import RunConfig
from m3att.engine.lines import is_number, read_lines
from m3att.engine.run_lock import beating, holder_of, is_alive, sign, take_lock
from m3att.errors import ConfigError, DataError
from m3att.settings import config_from_file

_held: set[Path] = set()  # by this process, which its own locks do not keep out


@dataclass(frozen=True)
class RunFolder:
    """Where the files of a run are.

    Args:
        path: of the folder; it need not exist.
    """

    path: Path

    @property
    def config(self) -> Path:
        """The resolved settings."""
        return self.path / "config.yaml"

    @property
    def tokenizer(self) -> Path:
        """The vocabulary."""
        return self.path / "tokenizer.json"

    @property
    def data(self) -> Path:
        """What the data of the run were when it began; see `engine.data_print`."""
        return self.path / "data.json"

    @property
    def metrics(self) -> Path:
        """One JSON line for each report: losses, pace, validation."""
        return self.path / "metrics.jsonl"

    @property
    def faults(self) -> Path:
        """One JSON line for each image or expression that was left out; absent where there is none."""
        return self.path / "faults.jsonl"

    @property
    def bad_steps(self) -> Path:
        """One JSON line for each step that was skipped, as its loss or gradient was no number; absent if none was."""
        return self.path / "bad_steps.jsonl"

    @property
    def board(self) -> Path:
        """The folder that TensorBoard reads."""
        return self.path / "tensorboard"

    @property
    def tracker_ids(self) -> Path:
        """The ids that a resumed run has at W&B and MLflow; absent where it has none."""
        return self.path / "trackers.json"

    @property
    def checkpoint(self) -> Path:
        """The newest weights, optimiser state and position in the data, for resuming."""
        return self.path / "checkpoint.safetensors"

    def kept_checkpoint(self, step: int) -> Path:
        """An earlier checkpoint."""
        return self.path / "checkpoints" / f"step-{step:08}.safetensors"

    @property
    def kept_checkpoints(self) -> dict[int, Path]:
        """The earlier checkpoints by their steps, newest first."""
        found = {path.stem.removeprefix("step-"): path for path in self.path.glob("checkpoints/step-*.safetensors")}
        steps = {int(step): path for step, path in found.items() if step.isdecimal()}
        return dict(sorted(steps.items(), reverse=True))

    @property
    def checkpoints(self) -> list[Path]:
        """All checkpoints, newest first."""
        return [path for path in (self.checkpoint, *self.kept_checkpoints.values()) if path.is_file()]

    @property
    def best(self) -> Path:
        """The model folder with the best validated mean IoU."""
        return self.path / "best"

    @property
    def last(self) -> Path:
        """The model folder of the last validation."""
        return self.path / "last"

    @property
    def lock(self) -> Path:
        """The file that the running process holds; absent if no process runs."""
        return self.path / ".lock"

    @property
    def is_run(self) -> bool:
        """Whether a run was started there."""
        return self.config.is_file()

    @property
    def can_resume(self) -> bool:
        """Whether there is a checkpoint to go on from."""
        return bool(self.checkpoints)

    def read_config(self) -> RunConfig:
        """The settings of the run.

        Raises:
            ConfigError: where the file is missing or wrong.
        """
        return config_from_file(self.config)

    def known_faults(self) -> list[str]:
        """What the run has left out so far, one line each."""
        return [str(line["left_out"]) for line in read_lines(self.faults) if line is not None and "left_out" in line]

    def last_metrics(self) -> dict[str, Any]:
        """The newest whole line of the metrics; empty where there is none.

        Raises:
            DataError: where a line is not one of a training.
        """
        return (self.read_metrics() or [{}])[-1]

    def read_metrics(self) -> list[dict[str, Any]]:
        """The lines of the metrics; none where there is no such file yet.

        A line that is half-written is left out if it is the last one: the training may be at work, or was killed.

        Raises:
            DataError: where a line is not one of a training.
        """
        found: list[dict[str, Any]] = []
        lines = read_lines(self.metrics)
        for number, entry in enumerate(lines, start=1):
            if entry is not None and isinstance(entry.get("step"), int) and all(map(is_number, entry.values())):
                found.append(entry)
            elif number < len(lines):
                raise DataError(f"{self.metrics}, line {number}: not what a training logs")
        return found

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other processes out of the folder; the system ends this when the process ends, for any reason.

        The folder is made where it is missing, and removed again where nothing was written to it.

        Raises:
            ConfigError: where another process trains in the folder.
        """
        folder = self.path.resolve()
        made = [parent for parent in (folder, *folder.parents) if not parent.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with self._locked(folder):
                yield
        finally:
            for parent in made:  # innermost first
                if any(parent.iterdir()):
                    break
                parent.rmdir()

    @contextmanager
    def _locked(self, folder: Path) -> Iterator[None]:
        if folder in _held:
            raise self._busy()
        while True:
            lock = folder / self.lock.name
            with lock.open("a+b") as file:
                taken = take_lock(file)
                if taken is False or (taken is None and is_alive(lock)):
                    raise self._busy(holder_of(lock))
                try:
                    same = os.path.samestat(os.fstat(file.fileno()), lock.stat())
                except FileNotFoundError:
                    same = False
                if not same:  # the process that held it removed the file after this one opened it
                    continue
                sign(file)
                _held.add(folder)
                try:
                    with beating(lock) if taken is None else nullcontext():
                        yield
                finally:
                    _held.remove(folder)
                    if sys.platform != "win32":  # where an open file cannot be removed
                        lock.unlink(missing_ok=True)
                return

    def _busy(self, holder: tuple[str, int] | None = None) -> ConfigError:
        who = "" if holder is None else f" (process {holder[1]} on {holder[0]})"
        return ConfigError(
            f"{self.path}: another process trains this run{who}: wait for it to end, or name another --out"
        )
