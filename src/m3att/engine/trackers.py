"""Where the figures and pictures of a training go beside metrics.jsonl: TensorBoard, Weights & Biases, MLflow.

What a library sends over a network may fail for a while. A tracker that fails is left out for the rest of the run, with
a note: a training must not end because a server does not answer.
"""

from __future__ import annotations

import json
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from secrets import token_hex

import numpy as np
from PIL import Image

from m3att.config import RunConfig
from m3att.engine.lines import entry_of
from m3att.engine.run_folder import RunFolder
from m3att.errors import ConfigError, StoppedError, clipped
from m3att.extras import require
from m3att.files import replace_file
from m3att.settings import config_to_dict, flatten

PROJECT = "m3att"  # of W&B, and experiment of MLflow, unless their own variables of the environment say otherwise
FINISHED, KILLED, FAILED = "FINISHED", "KILLED", "FAILED"  # MLflow's words for the end of a run
MOST_PARAMS = 100  # that MLflow takes at once


class Tracker(ABC):
    """One place for figures and pictures.

    Attributes:
        name: as `train.trackers` has it.
        failures: the errors of its library.
    """

    name: str
    failures: tuple[type[Exception], ...] = ()

    @abstractmethod
    def figures(self, step: int, figures: Mapping[str, float]) -> None:
        """Take the figures of a step, by name."""

    @abstractmethod
    def pictures(self, step: int, pictures: Mapping[str, Image.Image]) -> None:
        """Take the pictures of a validation, by name."""

    @abstractmethod
    def close(self, state: str) -> None:
        """Write what is left; ``state`` says how the training ended."""


class TensorBoard(Tracker):
    """Files that TensorBoard reads.

    Args:
        folder: of the run.
        step: where the run stands; what an earlier process wrote of later steps is hidden.
    """

    name = "tensorboard"
    failures = (OSError,)  # such as of a full disk; the checkpoint then says how to go on

    def __init__(self, folder: RunFolder, step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.board = SummaryWriter(str(folder.board), purge_step=step + 1)

    def figures(self, step: int, figures: Mapping[str, float]) -> None:
        """See Tracker."""
        for name, value in figures.items():
            self.board.add_scalar(name, value, step)

    def pictures(self, step: int, pictures: Mapping[str, Image.Image]) -> None:
        """See Tracker."""
        for name, picture in pictures.items():
            self.board.add_image(name, np.asarray(picture), step, dataformats="HWC")

    def close(self, state: str) -> None:
        """See Tracker."""
        self.board.close()


class WandB(Tracker):
    """A run of Weights & Biases. Its own variables decide where: WANDB_MODE, WANDB_PROJECT, WANDB_ENTITY ...

    W&B ignores a step that it has seen, so a step that is taken again after a kill keeps its first figures.

    Args:
        folder: of the run.
        config: its settings.
        known: id of the run that goes on; None: a new one.
    """

    name = "wandb"

    def __init__(self, folder: RunFolder, config: RunConfig, known: str | None) -> None:
        self.wandb = require("wandb", "wandb", "train.trackers wandb")
        self.failures = (self.wandb.errors.Error, OSError)
        self.id = known or token_hex(4)
        self.run = self.wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            name=os.environ.get("WANDB_NAME", folder.path.resolve().name),
            dir=str(folder.path),
            id=self.id,
            resume="allow",
            config=config_to_dict(config),
            settings=self.wandb.Settings(console="off"),  # it would otherwise read the terminal along
        )

    def figures(self, step: int, figures: Mapping[str, float]) -> None:
        """See Tracker."""
        self.run.log(dict(figures), step=step)

    def pictures(self, step: int, pictures: Mapping[str, Image.Image]) -> None:
        """See Tracker."""
        self.run.log({name: self.wandb.Image(picture) for name, picture in pictures.items()}, step=step)

    def close(self, state: str) -> None:
        """See Tracker."""
        self.run.finish(exit_code=0 if state == FINISHED else 1)


class MLflow(Tracker):
    """A run of MLflow, in the data base that MLFLOW_TRACKING_URI names, or in one in the folder of the run.

    Args:
        folder: of the run.
        config: its settings.
        known: id of the run that goes on; None: a new one.
    """

    name = "mlflow"

    def __init__(self, folder: RunFolder, config: RunConfig, known: str | None) -> None:
        mlflow = require("mlflow", "mlflow", "train.trackers mlflow")
        tracking = require("mlflow.tracking", "mlflow", "train.trackers mlflow")
        self.entities = require("mlflow.entities", "mlflow", "train.trackers mlflow")
        self.failures = (mlflow.exceptions.MlflowException, OSError)
        place = os.environ.get("MLFLOW_TRACKING_URI")
        own = folder.path.resolve()
        self.client = tracking.MlflowClient(place or f"sqlite:///{own / 'mlflow.db'}")
        self.id = known or self.start(config, own.name, None if place else (own / "mlflow").as_uri())
        self.client.update_run(self.id, status="RUNNING")

    def start(self, config: RunConfig, name: str, files: str | None) -> str:
        """A new run with the settings as its parameters; returns its id.

        Args:
            config: of the run.
            name: of the run.
            files: where pictures lie; None: the server decides.
        """
        experiment = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
        found = self.client.get_experiment_by_name(experiment)
        number = self.client.create_experiment(experiment, files) if found is None else found.experiment_id
        run = str(self.client.create_run(number, run_name=name).info.run_id)
        params = [self.entities.Param(key, str(value)) for key, value in flatten(config_to_dict(config)).items()]
        for start in range(0, len(params), MOST_PARAMS):
            self.client.log_batch(run, params=params[start : start + MOST_PARAMS])
        return run

    def figures(self, step: int, figures: Mapping[str, float]) -> None:
        """See Tracker."""
        now = int(1000 * time.time())
        metrics = [self.entities.Metric(name, value, now, step) for name, value in figures.items()]
        self.client.log_batch(self.id, metrics=metrics)

    def pictures(self, step: int, pictures: Mapping[str, Image.Image]) -> None:
        """See Tracker."""
        for name, picture in pictures.items():
            self.client.log_image(self.id, picture, artifact_file=f"{name}/step-{step:08}.png")

    def close(self, state: str) -> None:
        """See Tracker."""
        self.client.set_terminated(self.id, status=state)


class Trackers:
    """The trackers of a run.

    Args:
        active: those that work.
        say: gets a line about each that fails.
    """

    def __init__(self, active: Sequence[Tracker], say: Callable[[str], None]) -> None:
        self.active, self.say = list(active), say

    def figures(self, step: int, figures: Mapping[str, float]) -> None:
        """Give the figures of a step to all."""
        self.each(lambda tracker: tracker.figures(step, figures))

    def pictures(self, step: int, pictures: Mapping[str, Image.Image]) -> None:
        """Give the pictures of a validation to all."""
        if pictures:
            self.each(lambda tracker: tracker.pictures(step, pictures))

    def each(self, work: Callable[[Tracker], None]) -> None:
        """Do something with each; one that fails is left out from now on."""
        for tracker in list(self.active):
            try:
                work(tracker)
            except tracker.failures as error:
                self.active.remove(tracker)
                self.say(f"note: {tracker.name}: {first_line(error)}; the run goes on without it")


def require_trackers(names: Sequence[str]) -> None:
    """Check, before long work, that the libraries are installed.

    Raises:
        ConfigError: names the extra.
    """
    for name in names:
        if name != TensorBoard.name:
            require(name, name, f"train.trackers {name}")


@contextmanager
def tracking(
    folder: RunFolder, config: RunConfig, step: int, resume: bool, say: Callable[[str], None]
) -> Iterator[Trackers]:
    """Open the trackers of a run, and close them however it ends.

    Args:
        folder: of the run; keeps the ids by which a resumed run is known.
        config: its settings.
        step: where it stands.
        resume: whether it goes on.
        say: gets a line about each tracker that fails.

    Raises:
        ConfigError: where a library is not installed or does not start, or the ids cannot be read.
    """
    ids = known_ids(folder) if resume else {}
    kinds: dict[str, Callable[[], Tracker]] = {
        "tensorboard": lambda: TensorBoard(folder, step),
        "wandb": lambda: WandB(folder, config, ids.get("wandb")),
        "mlflow": lambda: MLflow(folder, config, ids.get("mlflow")),
    }
    active: list[Tracker] = []
    for name in config.train.trackers:
        try:
            active.append(kinds[name]())
        except ConfigError:
            raise
        except Exception as error:  # of any kind: a library that cannot log in or reach its server has many
            raise ConfigError(
                f"train.trackers: {name} does not start ({first_line(error)}); mend that, or leave it out"
            ) from error
    ids |= {tracker.name: tracker.id for tracker in active if isinstance(tracker, WandB | MLflow)}
    if ids:
        replace_file(folder.tracker_ids, json.dumps(ids).encode())
    trackers, state = Trackers(active, say), FAILED
    try:
        yield trackers
        state = FINISHED
    except (KeyboardInterrupt, StoppedError):
        state = KILLED
        raise
    finally:
        trackers.each(lambda tracker: tracker.close(state))


def known_ids(folder: RunFolder) -> dict[str, str]:
    """The ids that a run has at W&B and MLflow, by tracker; empty where it has none.

    Raises:
        ConfigError: where their file is damaged.
    """
    if not folder.tracker_ids.is_file():
        return {}
    found = entry_of(folder.tracker_ids.read_bytes())
    if found is None or not all(isinstance(value, str) for value in found.values()):
        raise ConfigError(f"{folder.tracker_ids}: damaged; remove it, and W&B and MLflow get a new run")
    return found


def first_line(error: BaseException) -> str:
    """What an error of a library says, in a short line."""
    return clipped((str(error).strip().splitlines() or [type(error).__name__])[0])
