"""A search for settings: trains a network for each trial, by Optuna, and can be killed and gone on with.

Optuna keeps the trials in a data base in the folder of the search. A trial that was interrupted is taken up again: its
training goes on from its checkpoint.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from m3att.bounds import check_fit, check_range
from m3att.config import RunConfig
from m3att.engine.lines import is_number, read_lines
from m3att.engine.position import position_of
from m3att.engine.run_folder import RunFolder
from m3att.engine.stopping import Stopping
from m3att.errors import ConfigError, DivergedError, M3AttError, ModelError, clipped, did_you_mean
from m3att.extras import require
from m3att.settings import SettingsParser, add_settings, changed, settings_of

STUDY = "m3att"
DATABASE = "study.db"
FOLDER, REASON = "folder", "reason"  # what is kept of a trial beside its settings
STARTUP = 4  # trials that are never pruned, so that there is something to compare with
PRUNERS = ("median", "none")
_RANGE = re.compile(r"(?:(log):)?([^:,]+):([^:,]+)")


@dataclass(frozen=True)
class Space:
    """The values of one setting that a search tries.

    Args:
        key: dotted name of the setting.
        low: smallest number of a range; None: there are choices.
        high: largest number of a range.
        log: the logarithm is drawn, so that each power of ten is tried as often.
        whole: only whole numbers.
        choices: as they are typed on a command line.
    """

    key: str
    low: float | None = None
    high: float | None = None
    log: bool = False
    whole: bool = False
    choices: tuple[str, ...] = ()

    @property
    def ends(self) -> tuple[str, ...]:
        """All choices, or both ends of the range, as they are typed on a command line."""
        return self.choices if self.low is None else (str(self.low), str(self.high))

    def suggest(self, trial: Any) -> str:
        """Optuna's value for a trial, as it is typed on a command line."""
        if self.low is None or self.high is None:
            return str(trial.suggest_categorical(self.key, self.choices))
        if self.whole:
            return str(trial.suggest_int(self.key, int(self.low), int(self.high), log=self.log))
        return repr(trial.suggest_float(self.key, self.low, self.high, log=self.log))


def parse_space(text: str) -> Space:
    """A space as it is typed: KEY=LOW:HIGH, KEY=log:LOW:HIGH or KEY=ONE,OTHER.

    Raises:
        ConfigError: where there is no such setting, or it does not take the values.
    """
    key, mark, values = text.partition("=")
    known = settings_of(RunConfig)
    if not mark or not values:
        raise ConfigError(f"--set {text}: give KEY=LOW:HIGH, KEY=log:LOW:HIGH or KEY=ONE,OTHER")
    if key not in known:
        raise ConfigError(f"--set {text}: unknown setting {key}{did_you_mean(key, known)}")
    found = _RANGE.fullmatch(values)
    if found is None:
        choices = tuple(dict.fromkeys(one.strip() for one in values.split(",")))
        for choice in choices:
            typed({key: choice})
        return Space(key, choices=choices)
    hints = str(known[key].hint)
    if ("int" not in hints and "float" not in hints) or "tuple" in hints:
        raise ConfigError(f"--set {text}: {key} is no number; give its values with commas between them")
    whole = "float" not in hints
    try:
        low, high = (int(end) if whole else float(end) for end in (found[2], found[3]))
    except ValueError as error:
        raise ConfigError(f"--set {text}: the ends must be {'whole ' if whole else ''}numbers") from error
    for end in (low, high):
        check_range(key, end)
    if not low < high or (found[1] and low <= 0):
        raise ConfigError(f"--set {text}: the first end must be smaller{', and more than 0' if found[1] else ''}")
    return Space(key, low, high, bool(found[1]), whole)


def typed(values: Mapping[str, str]) -> dict[str, Any]:
    """Nested values of settings, of the right types, from their texts on a command line.

    Raises:
        ConfigError: where a setting does not take its value.
    """
    parser = SettingsParser("m3att search")
    add_settings(parser, RunConfig)
    words = [f"--{key}={value}" for key, value in values.items()]
    given: dict[str, Any] = parser.parse_args(words, defaults=False).as_dict()
    return given


def trial_config(base: RunConfig, values: Mapping[str, str]) -> RunConfig:
    """The settings of a trial.

    Args:
        base: what the values are laid over.
        values: of the searched settings, as texts.

    Raises:
        ConfigError: where they do not fit each other.
    """
    config = changed(base, typed(values))
    check_fit(config)
    return config


class Search:
    """The trials of a search in a folder.

    Args:
        out: the folder.
        base: settings that all trials share.
        spaces: what is searched.
        pruner: `median` ends a trial whose best validation is below the median of the others at that step; `none` ends
            none.

    Raises:
        ConfigError: where Optuna is not installed, or the folder holds trials that its data base does not know.
    """

    def __init__(self, out: Path, base: RunConfig, spaces: Sequence[Space], pruner: str = "median") -> None:
        self.optuna = require("optuna", "search", "m3att search")
        self.out, self.base, self.spaces = out, base, tuple(spaces)
        self.optuna.logging.set_verbosity(self.optuna.logging.WARNING)
        pruners = {
            "median": lambda: self.optuna.pruners.MedianPruner(n_startup_trials=STARTUP),
            "none": self.optuna.pruners.NopPruner,
        }
        self.study = self.optuna.create_study(
            storage=f"sqlite:///{(out / DATABASE).resolve()}",
            study_name=STUDY,
            load_if_exists=True,
            direction="maximize",
            pruner=pruners[pruner](),
        )
        known = {trial.user_attrs.get(FOLDER) for trial in self.study.trials}
        unknown = next((path for path in sorted(out.glob("trial-*")) if path.name not in known), None)
        if unknown is not None:  # a new trial would go on with the training of another one
            raise ConfigError(
                f"{unknown}: {DATABASE} does not know this trial: restore {DATABASE}, or give another --out"
            )
        # A search that goes on must not draw the values of its first trials again.
        seed = base.train.seed + len(self.study.trials)
        self.study.sampler = self.optuna.samplers.TPESampler(seed=seed)

    def done(self) -> list[Any]:
        """The trials that have ended, in order; those that were interrupted have failed without a reason."""
        failed = self.optuna.trial.TrialState.FAIL
        ended = [trial for trial in self.study.trials if trial.state.is_finished()]
        return [trial for trial in ended if trial.state != failed or REASON in trial.user_attrs]

    def take_up(self) -> None:
        """Put trials that an interruption has left in front of the queue, each with the folder that it has.

        A trial that was taken up before knows its values from then, though it may not have asked for them yet. One with
        a reason has failed already, and only this was not written.
        """
        states = self.optuna.trial.TrialState
        waiting = {trial.user_attrs.get(FOLDER) for trial in self.study.get_trials(states=(states.WAITING,))}
        for trial in self.study.get_trials(states=(states.RUNNING,)):
            folder, values = trial.user_attrs.get(FOLDER), trial.system_attrs.get("fixed_params", {}) | trial.params
            told = folder in waiting or REASON in trial.user_attrs
            if not told and len(values) == len(self.spaces):
                self.study.enqueue_trial(values, user_attrs={FOLDER: folder})
            self.study.tell(trial.number, state=states.FAIL)

    def run(self, trials: int, stop: Stopping, said: Callable[[str], None]) -> None:
        """Train until as many trials have ended.

        Args:
            trials: in all, earlier ones included.
            stop: ends a training; its trial is taken up by the next call.
            said: gets a line about each trial.

        Raises:
            KeyboardInterrupt: where ``stop`` was asked by Ctrl-C.
            M3AttError: where the first trial cannot be trained at all.
            StoppedError: where ``stop`` was asked by SIGTERM.
        """
        self.take_up()
        while len(self.done()) < trials:
            trial = self.study.ask()
            folder = trial.user_attrs.get(FOLDER) or f"trial-{trial.number:04}"
            trial.set_user_attr(FOLDER, folder)
            values = {space.key: space.suggest(trial) for space in self.spaces}
            said(f"{folder}: " + ", ".join(f"{key} {value}" for key, value in values.items()))
            state, score = self.train(trial, self.out / folder, values, stop)
            self.study.tell(trial, score, state=state)
            said(f"{folder}: {self.ending(self.study.trials[trial.number])}")

    def train(self, trial: Any, folder: Path, values: Mapping[str, str], stop: Stopping) -> tuple[Any, float | None]:
        """Train one trial; returns its state and its score, the best validation.

        Args:
            trial: of Optuna; hears of each validation.
            folder: of the run.
            values: of the searched settings.
            stop: ends it.
        """
        from m3att.engine.train import train

        states, best, heard = self.optuna.trial.TrialState, -1.0, set[int]()

        def hear(step: int, agreement: float) -> None:
            nonlocal best
            best = max(best, agreement)
            if step not in heard:  # a step after the checkpoint is taken again
                heard.add(step)
                trial.report(best, step)

        def report(step: int, steps: int, figures: dict[str, float]) -> None:
            if "agreement" in figures:
                hear(step, figures["agreement"])
                if step < steps and trial.should_prune():
                    raise PrunedError

        run = RunFolder(folder)
        # Of a trial that is taken up. Lines that are damaged are left out, as the training that goes on drops them.
        for line in read_lines(run.metrics) if run.can_resume else []:
            if line is not None and is_number(line.get("step")) and is_number(line.get("agreement")):
                hear(int(line["step"]), float(line["agreement"]))
        try:
            config = trial_config(self.base, values)
            train(config, folder, run.can_resume, report, stop=stop)
        except PrunedError:
            return states.PRUNED, None
        except (ConfigError, ModelError) as error:
            diverged = isinstance(error, DivergedError)
            begun = run.is_run if isinstance(error, ModelError) else run.can_resume
            if begun and not diverged:  # its disk, checkpoint or data are at fault, and not its settings
                raise
            if not self.done() and not diverged:
                self.study.tell(trial, state=states.FAIL)
                raise
            trial.set_user_attr(REASON, clipped(str(error)))
            return states.FAIL, None
        position = position_of(run.checkpoint)  # a power cut may have taken lines that the checkpoint knows of
        return states.COMPLETE, best if position is None else max(best, position.best_mean_iou)

    def ending(self, trial: Any) -> str:
        """How a trial ended, in a few words."""
        if trial.state == self.optuna.trial.TrialState.COMPLETE:
            return f"mean IoU {100 * trial.value:.1f}"
        if trial.state == self.optuna.trial.TrialState.PRUNED:
            last = max(trial.intermediate_values, default=0)
            return f"ended early at step {last:,}, with mean IoU {100 * trial.intermediate_values[last]:.1f}"
        return f"failed: {trial.user_attrs.get(REASON, 'interrupted')}"

    def best(self) -> tuple[Any, RunConfig] | None:
        """The best trial with its settings; None where none was completed."""
        complete = self.study.get_trials(states=(self.optuna.trial.TrialState.COMPLETE,))
        if not complete:
            return None
        trial = max(complete, key=lambda one: one.value)
        return trial, trial_config(self.base, {key: shown(value) for key, value in trial.params.items()})

    def rows(self) -> list[dict[str, Any]]:
        """The trials that have ended, as plain values, best first."""
        rows = [
            {
                "folder": trial.user_attrs.get(FOLDER),
                "state": trial.state.name.lower(),
                "mean_iou": trial.value,
                "settings": trial.params,
                "validations": {str(step): value for step, value in sorted(trial.intermediate_values.items())},
                "reason": trial.user_attrs.get(REASON),
            }
            for trial in self.done()
        ]
        return sorted(rows, key=lambda row: -(row["mean_iou"] if row["mean_iou"] is not None else -1.0))


@contextmanager
def database_told(out: Path) -> Iterator[None]:
    """Turn what Optuna's data base raises, where it is damaged or its disk is full, into an error of one line.

    Args:
        out: folder of the search.

    Raises:
        ConfigError: names the data base.
    """
    kinds = (
        require("sqlalchemy.exc", "search", "m3att search").SQLAlchemyError,
        require("optuna.exceptions", "search", "m3att search").StorageInternalError,
    )
    try:
        yield
    except kinds as error:
        why = clipped(str(error.__cause__ or error).splitlines()[0])
        raise ConfigError(f"{out / DATABASE}: {why}; make room or restore it, or give another --out") from None


class PrunedError(M3AttError):
    """Ends the training of a trial that is worse than others were at the same step."""


def shown(value: Any) -> str:
    """A value of Optuna as it is typed on a command line."""
    return repr(value) if isinstance(value, float) else str(value)
