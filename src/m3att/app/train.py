"""`m3att train`: trains a network from settings.

PyTorch is imported inside the functions, so that help and errors appear at once.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from m3att.app.console import JSON_HELP, one_voice, probe_file
from m3att.app.dry_run import add_dry_run, run_dry
from m3att.app.live import training_progress
from m3att.app.rehearse import run_find_rate, run_overfit
from m3att.app.run_settings import given_settings, note_idle, resumed_config, started_config
from m3att.app.scoring import evaluate_command
from m3att.config import RunConfig
from m3att.encoders import fresh_halves, halves_of
from m3att.engine.origin import EARLIER, earlier_runs, named_start, started_from_folder
from m3att.engine.run_folder import RunFolder
from m3att.errors import LostError, StoppedError, counted
from m3att.launched import process_rank, require_one_process
from m3att.presets import PRESETS
from m3att.settings import (
    SettingsParser,
    add_settings,
    config_to_yaml,
)

if TYPE_CHECKING:
    from m3att.engine.stopping import Stopping


@one_voice()
def train(words: Sequence[str], prog: str) -> int:
    """`m3att train`."""
    parser = SettingsParser(
        prog,
        description="Train a network, or continue a run. Later settings win: preset, config file, options.",
        usage=f"{prog} --preset NAME | --config FILE [--section.field VALUE ...] --out RUN [--resume] | --dry-run",
        epilog="`m3att presets` lists the presets. From fresh weights: " + PRESETS["shaperef-tiny-hour"].description,
    )
    parser.add_argument("--preset", type=str, metavar="NAME", help="start from a preset; `m3att presets` lists them")
    parser.add_argument("--config", type=str, metavar="FILE", help="YAML with any of the settings below")
    parser.add_argument("--out", type=str, metavar="RUN", help="run folder")
    parser.add_argument("--resume", action="store_true", help="continue the run in --out with its own settings")
    add_dry_run(parser, "; missing data are drawn, and missing weights are fresh")
    parser.add_argument(
        "--overfit-one-batch",
        "--overfit_one_batch",
        action="store_true",
        help="train on the first batch alone, for up to 200 steps (or --train.steps), and say whether its loss falls "
        "to near zero, as it must if data, network and loss fit together; no run folder is written",
    )
    parser.add_argument(
        "--find-rate",
        "--find_rate",
        action="store_true",
        help="look for a learning rate: train 100 steps (or --train.steps) with a rate that rises from step to step, "
        "and write the curve of the loss to --out; no run is started",
    )
    parser.add_argument(
        "--json",
        type=str,
        metavar="FILE",
        help=f"with --dry-run or --overfit-one-batch: also write the findings to this file{JSON_HELP}",
    )
    parser.add_argument("--print-config", "--print_config", action="store_true", help="print the settings and stop")
    add_settings(parser, RunConfig)
    given = parser.parse_args(words, defaults=False).as_dict()
    options = {field.name: given[field.name] for field in fields(RunConfig) if field.name in given}
    out = Path(given["out"]) if given.get("out") else None
    trials = [name for name in ("dry_run", "overfit_one_batch", "find_rate") if given.get(name)]
    check_trials(parser, trials, given)
    found = Path(given["json"]) if given.get("json") else None
    if found is not None:
        probe_file(found, "--json")
    if out is None and not given.get("print_config") and trials in ([], ["find_rate"]):
        parser.error("--out is missing: name the run's folder")
    config = resumed_config(out, given, options) if given.get("resume") else started_config(given, options)
    note_idle(config, given_settings(given, options))
    if given.get("print_config"):
        print(config_to_yaml(config), end="")
        return 0
    steps = options.get("train", {}).get("steps")
    if given.get("dry_run"):
        require_one_process()
        return run_dry(config, found)
    if given.get("overfit_one_batch"):
        require_one_process()
        return run_overfit(config, steps, found)
    assert out is not None
    if given.get("find_rate"):
        require_one_process()
        return run_find_rate(config, steps, out)
    return run_training(config, out, bool(given.get("resume")))


def check_trials(parser: SettingsParser, trials: Sequence[str], given: Mapping[str, Any]) -> None:
    """Refuse options that do not go together.

    Args:
        parser: of the command.
        trials: what is to be tried out in place of a run, by the names of the options.
        given: options of the command line.

    Raises:
        ConfigError: names them.
    """
    shown = [f"--{name.replace('_', '-')}" for name in trials]
    if len(trials) > 1:
        parser.error(f"{' and '.join(shown)}: give one of them")
    if trials and given.get("resume"):
        parser.error(f"{shown[0]} starts a run anew: leave out --resume")
    if given.get("json") and trials not in (["dry_run"], ["overfit_one_batch"]):
        parser.error("--json says what --dry-run or --overfit-one-batch found: give it with one of them")


def run_training(config: RunConfig, out: Path, resume: bool) -> int:
    """Train with a progress bar, and print how to use the result.

    Args:
        config: of the run.
        out: folder of the run.
        resume: whether it goes on.

    Raises:
        KeyboardInterrupt: after Ctrl-C.
        LostError: where another process has ended.
        StoppedError: after SIGTERM.
    """
    from m3att.engine.stopping import Stopping

    config, stop = named_start(config), Stopping(say_at_once)
    with stop.listening():
        train_earlier(config, out, stop)
        config, folder = started_from_folder(config, out), RunFolder(out)
        if resume and not folder.can_resume:
            print(f"note: {out} has no checkpoint yet: the run starts anew", file=sys.stderr)
        if not folder.can_resume:
            note_fresh(config)
        try:
            model = train_shown(config, folder, resume, stop)
        except (KeyboardInterrupt, StoppedError) as ending:
            command = shlex.join(["m3att", "train", "--out", str(out), "--resume"])
            advice = f"go on with: {command}"
            if not folder.can_resume:
                advice = "no checkpoint was written yet; the same command starts again"
            raise ended(ending, advice) from None
        except LostError as error:
            more = f"; go on with --resume from the checkpoint in {out}" if folder.can_resume else ""
            raise LostError(f"{error}{more}") from None
    from m3att.engine.distributed import leave  # not above: PyTorch is loaded where a signal is answered with advice

    leave()
    faults = folder.known_faults()
    if faults:
        print(f"left out, as they cannot be read: {len(faults):,} images or expressions, named in {folder.faults}")
    print(f"trained: {model}; score it with: {evaluate_command(model, config.data)}")
    return 0


def note_fresh(config: RunConfig) -> None:
    """Say which encoders start from fresh weights."""
    for half in halves_of(config.model):
        if (
            half.name in fresh_halves(config.train) and half.starts_fresh and not half.frozen
        ):  # a frozen one is refused at once, with more to say
            print(f"note: the {half.name} encoder starts fresh: no --model.{half.name}.weights", file=sys.stderr)


def train_earlier(config: RunConfig, out: Path, stop: Stopping) -> None:
    """Train the runs that come before a run, as far as they have not ended.

    Args:
        config: of the run.
        out: its folder.
        stop: ends them too.

    Raises:
        KeyboardInterrupt: says that the command of the run goes on from there.
        StoppedError: likewise.
    """
    runs = earlier_runs(config, out)
    if runs:
        shown = ", ".join(f"{run.preset} ({counted(run.steps, 'step')})" for run in runs)
        print(f"trained first, in {out / EARLIER}: {shown}", flush=True)
    for run in runs:
        if run.has_ended:
            print(f"{run.preset}: has ended: {run.folder.last}", flush=True)
            continue
        print(f"{run.preset}:", flush=True)
        try:
            train_shown(run.config, run.folder, run.folder.can_resume, stop)
            stop.check()
        except (KeyboardInterrupt, StoppedError) as ending:
            raise ended(ending, "the same command goes on from the last checkpoint") from None


def train_shown(config: RunConfig, folder: RunFolder, resume: bool, stop: Stopping) -> Path:
    """Train with a progress bar.

    Args:
        config: of the run.
        folder: of the run.
        resume: whether it goes on.
        stop: ends it; see `engine.train.train`.
    """
    from m3att.engine.train import train as train_network

    with training_progress() as report:
        return train_network(
            config, folder.path, resume, report, lambda lines: print("\n".join(lines), flush=True), stop
        )


def ended(ending: BaseException, advice: str) -> BaseException:
    """The end of a training that was asked to stop, with what to do next."""
    if isinstance(ending, StoppedError):
        return StoppedError(f"{ending}; {advice}")
    return KeyboardInterrupt(advice)


def say_at_once(line: str) -> None:
    """Print a line to stderr from a signal handler, in which Python's own files must not be used."""
    if process_rank():  # of several processes, the first says it
        return
    os.write(2, f"\nm3att: {line}\n".encode())
