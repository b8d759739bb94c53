"""`m3att search`: looks for good settings by training with many."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Collection, Sequence
from dataclasses import fields
from itertools import islice, product
from pathlib import Path
from typing import Any

from m3att.app.console import probe_file, show, write_json
from m3att.app.run_settings import given_settings, started_config
from m3att.app.train import ended, say_at_once
from m3att.config import RunConfig
from m3att.effects import idle_settings
from m3att.engine.origin import preset_before
from m3att.engine.run_folder import RunFolder
from m3att.errors import ConfigError, StoppedError
from m3att.extras import require
from m3att.launched import require_one_process
from m3att.settings import SettingsParser, add_settings, changed, config_to_yaml, differences

TRIALS = 20
COMBINATIONS = 256  # of searched values that are looked at for settings without effect
SPACES, BEST, LIST = "search.json", "best.yaml", "trials.json"
FREE = {"train.device", "train.threads", "train.workers", "train.log_every", "train.save_every"}


def search(words: Sequence[str], prog: str) -> int:
    """`m3att search`.

    Raises:
        ConfigError: where options contradict each other or the folder.
    """
    parser = SettingsParser(
        prog,
        description="Look for good settings: train a network for each trial, with values that Optuna chooses, and keep "
        "those with the best validation.",
        usage=f"{prog} --preset NAME | --config FILE --set KEY=VALUES [--set ...] --out DIR [--trials N] "
        "[--section.field VALUE ...]",
        epilog="VALUES: LOW:HIGH, log:LOW:HIGH (each power of ten is tried equally often), or ONE,OTHER. --set may "
        "be given several times. To go on with a search that was stopped, give the same command again.",
    )
    parser.add_argument("--preset", type=str, metavar="NAME", help="start from a preset; `m3att presets` lists them")
    parser.add_argument("--config", type=str, metavar="FILE", help="YAML with any of the settings below")
    parser.add_argument("--out", type=str, metavar="DIR", help="folder of the search")
    parser.add_argument(
        "--set",
        type=str,
        action="append",
        metavar="KEY=VALUES",
        help="a setting to search and its values, as in train.learning_rate=log:1e-4:1e-2; see the end of this help",
    )
    parser.add_argument(
        "--trials", type=int, default=TRIALS, metavar="N", help="trainings in all, earlier ones in the folder included"
    )
    parser.add_argument(
        "--pruner",
        type=str,
        default="median",
        metavar="median|none",
        help="median: end a training whose best validation is worse than the median of the others at the same step",
    )
    add_settings(parser, RunConfig)
    given = parser.parse_args(words, defaults=False).as_dict()
    options = {field.name: given[field.name] for field in fields(RunConfig) if field.name in given}
    trials, pruner = given.get("trials", TRIALS), given.get("pruner", "median")
    if not given.get("out"):
        parser.error("--out is missing: name the folder of the search")
    if not given.get("set"):
        parser.error("--set is missing: name a setting and its values, as in --set train.learning_rate=log:1e-4:1e-2")
    if not 1 <= trials <= 100_000:
        parser.error(f"--trials: {trials} is out of range, give 1 to 100000")
    if pruner not in ("median", "none"):
        parser.error(f"--pruner: {pruner!r} does not fit, give median or none")
    require("optuna", "search", "m3att search")
    require_one_process()
    out = Path(given["out"])
    base = started_config(given, options)
    if preset_before(base.train) is not None:
        raise ConfigError(
            f"train.init: {base.train.init} is trained first by m3att train alone; give the folder of its model"
        )
    for line in idle_in_every_trial(base, given["set"], given_settings(given, options)):
        print(f"note: {line}", file=sys.stderr)
    return run_search(out, base, given["set"], trials, pruner, [*prog.split(), *words])


def idle_in_every_trial(base: RunConfig, texts: Sequence[str], given: Collection[str]) -> list[str]:
    """One line for each setting, given or searched, that changes nothing in any trial.

    What a setting does may depend on another one that is searched too. So the ends and choices of all searched settings
    are combined, and a setting is named if it is idle in every combination. Of very many, the first ones are looked at.

    Args:
        base: settings that all trials share.
        texts: spaces as they were typed.
        given: dotted names of the settings that were given.

    Raises:
        ConfigError: where a space makes no sense.
    """
    from m3att.engine.search import parse_space, typed

    spaces = {space.key: space.ends for space in map(parse_space, texts)}
    everywhere: dict[str, list[str]] | None = None  # the reasons, which may differ
    for values in islice(product(*spaces.values()), COMBINATIONS):
        try:
            config = changed(base, typed(dict(zip(spaces, values, strict=True))))
        except ConfigError:  # these values do not fit together, and Search says so of the trial
            continue
        idle = dict(idle_settings(config, {*given, *spaces}))
        before: dict[str, list[str]] = {key: [] for key in idle} if everywhere is None else everywhere
        everywhere = {key: [*reasons, idle[key]] for key, reasons in before.items() if key in idle}
    found = {key: " or ".join(dict.fromkeys(reasons)) for key, reasons in (everywhere or {}).items()}
    return [f"{key} has no effect in any trial: {reasons}" for key, reasons in found.items()]


def run_search(
    out: Path, base: RunConfig, texts: Sequence[str], trials: int, pruner: str, command: Sequence[str]
) -> int:
    """Run the trials that are missing, and write the best settings; returns the exit code.

    Args:
        out: folder of the search.
        base: settings that all trials share.
        texts: spaces as they were typed.
        trials: in all.
        pruner: see `engine.search.Search`.
        command: goes on with a search that was stopped.

    Raises:
        ConfigError: where the spaces make no sense, or the folder holds something else.
        KeyboardInterrupt: says how to go on.
        StoppedError: likewise.
    """
    from m3att.engine.search import Search, database_told, parse_space
    from m3att.engine.stopping import Stopping

    spaces = [parse_space(text) for text in texts]
    keys = [space.key for space in spaces]
    if len(set(keys)) < len(keys):
        raise ConfigError(f"--set: {', '.join(keys)}; give each setting once")
    probe_file(out / BEST, "--out")
    stop = Stopping(say_at_once)
    with RunFolder(out).held(), database_told(out):
        check_search(out, base, sorted(texts))
        found = Search(out, base, spaces, pruner)
        with stop.listening():
            try:
                found.run(trials, stop, lambda line: print(line, file=sys.stderr, flush=True))
            except (KeyboardInterrupt, StoppedError) as ending:
                raise ended(ending, f"go on with: {shlex.join(command)}") from None
            finally:
                write_found(out, found)
        return tell(out, found)


def check_search(out: Path, base: RunConfig, texts: Sequence[str]) -> None:
    """Write what is searched into a new folder, or refuse a folder that was made with something else.

    Args:
        out: folder of the search.
        base: settings that all trials share.
        texts: spaces as they were typed, sorted.

    Raises:
        ConfigError: names the first difference.
    """
    from m3att.engine.lines import entry_of
    from m3att.files import replace_file

    folder, spaces = RunFolder(out), out / SPACES
    if not spaces.is_file():
        if folder.is_run:
            raise ConfigError(f"{out} holds a run or something else with a config.yaml: name another --out")
        write_json(spaces, {"set": list(texts)})
    if not folder.is_run:  # new, or killed between the two files
        replace_file(folder.config, config_to_yaml(base).encode())
    for key, (saved, wanted) in differences(folder.read_config(), base).items():
        if key not in FREE:
            raise ConfigError(f"{out}: was made with {key} {saved}, not {wanted}; give that, or another --out")
    before = (entry_of(spaces.read_bytes()) or {}).get("set")
    if not isinstance(before, list):
        raise ConfigError(f"{spaces}: damaged; give another --out")
    if before != list(texts):
        raise ConfigError(f"{out}: searches {', '.join(before)}, not {', '.join(texts)}; give that, or another --out")


def write_found(out: Path, found: Any) -> None:
    """Write the list of trials, and the best settings where there are some.

    Args:
        out: folder of the search.
        found: the search.
    """
    from m3att.files import replace_file

    write_json(out / LIST, {"trials": found.rows()})
    best = found.best()
    if best is not None:
        replace_file(out / BEST, config_to_yaml(best[1]).encode())


def tell(out: Path, found: Any) -> int:
    """Print the trials, best first, and how to train with the best settings; exit code 1 where no trial was completed.

    Args:
        out: folder of the search.
        found: the search.
    """
    from m3att.report.tables import plain_table

    rows, keys = found.rows(), [space.key for space in found.spaces]
    cells = [
        (
            str(row["folder"]),
            "" if row["mean_iou"] is None else f"{100 * row['mean_iou']:.1f}",
            row["state"],
            *(
                f"{value:.4g}" if isinstance(value := row["settings"].get(key, ""), float) else str(value)
                for key in keys
            ),
        )
        for row in rows
    ]
    show(plain_table(("trial", "mean IoU", "state", *keys), cells))
    best = found.best()
    if best is None:
        print("no trial was completed")
        return 1
    command = shlex.join(["m3att", "train", "--config", str(out / BEST), "--out", str(out / "final")])
    print(f"best settings: {out / BEST}; train with them: {command}")
    return 0
