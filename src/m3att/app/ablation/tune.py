"""`m3att ablate --tune`: a learning rate for each row, chosen on a split that no table is scored on."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from m3att.ablations import Row, Table, row_config
from m3att.app.ablation.rates import TUNED, read_tuned, row_folder
from m3att.app.ablation.schedule import Run
from m3att.app.console import write_json
from m3att.config import RunConfig
from m3att.errors import ConfigError
from m3att.report.ablation_tables import FINISHED

SEEDS_APART = 1000  # the seed of tuning runs lies so far from the first seed of the table


@dataclass(frozen=True)
class Tuning:
    """What is tried.

    Args:
        rates: learning rates.
        split: the split that decides.
    """

    rates: tuple[float, ...]
    split: str


def read_tuning(rates: str | None, split: str | None, scored: str) -> Tuning | None:
    """What two options of the command line ask for; None where neither is given.

    Args:
        rates: learning rates with commas between them.
        split: the split that decides.
        scored: the split that the table is scored on.

    Raises:
        ConfigError: where one option lacks the other, or they cannot be carried out.
    """
    if rates is None and split is None:
        return None
    if rates is None or split is None:
        raise ConfigError("--tune and --tune-split belong together: the rates to try, and the split that decides")
    if split in (scored, "train"):
        raise ConfigError(
            f"--tune-split: {split} is the split that the table {'is scored' if split == scored else 'trains'} on; "
            "give another one"
        )
    try:
        numbers = tuple(dict.fromkeys(float(rate) for rate in rates.split(",")))
    except ValueError:
        numbers = ()
    if len(numbers) < 2 or not all(0 < rate < float("inf") for rate in numbers):
        raise ConfigError(f"--tune: {rates!r}; give two learning rates or more, such as 2e-4,4e-4,8e-4")
    return Tuning(numbers, split)


def tuning_runs(base: RunConfig, table: Table, rows: Sequence[Row], tuning: Tuning, out: Path) -> dict[str, list[Run]]:
    """The runs that are needed, by the name of the row; rows that are tuned already are left out.

    Args:
        base: settings that every row starts from.
        table: of the paper.
        rows: to tune.
        tuning: what is tried.
        out: folder of the runs.

    Raises:
        ConfigError: where a row was tuned with other rates or on another split.
    """
    found: dict[str, list[Run]] = {}
    places: dict[RunConfig, Path] = {}
    for row in rows:
        tuned = read_tuned(base, table, row, out)
        if tuned is not None:
            if tuned["split"] != tuning.split or sorted(map(float, tuned["mean_iou"])) != sorted(tuning.rates):
                rates = ",".join(tuned["mean_iou"])
                raise ConfigError(
                    f"{row.name}: was tuned with --tune {rates} --tune-split {tuned['split']}; give that, or another "
                    "--out"
                )
            continue
        for rate in tuning.rates:
            config = row_config(base, row, base.train.seed + SEEDS_APART)
            config = replace(
                config,
                train=replace(config.train, learning_rate=rate),
                data=replace(config.data, split=tuning.split),
            )
            folder = places.setdefault(config, row_folder(table, row, out) / f"tune-{rate}")
            run = Run(folder, config, row, config.train.seed, f"table {table.name}, {row.name}, tuning at {rate}")
            found.setdefault(row.name, []).append(run)
    return found


def tune(
    base: RunConfig,
    table: Table,
    rows: Sequence[Row],
    tuning: Tuning,
    out: Path,
    images: int | None,
    carry_out: Callable[[list[Run]], None],
) -> None:
    """Train each row with each rate, score it on the tuning's split, and write down the best rate of each row.

    Args:
        base: settings that every row starts from.
        table: of the paper.
        rows: to tune.
        tuning: what is tried.
        out: folder of the runs.
        images: of the split that each run is scored on; None: all.
        carry_out: trains and scores runs.

    Raises:
        ConfigError: where a row failed with every rate, or a run stopped.
    """
    by_row = tuning_runs(base, table, rows, tuning, out)
    runs = {run.folder: run for own in by_row.values() for run in own}
    missing = [run for run in runs.values() if run.result(images) is None]
    if by_row:
        print(f"table {table.name}: {len(runs)} runs to tune, {len(runs) - len(missing)} of them done", file=sys.stderr)
    carry_out(missing)
    for row in rows:
        if row.name not in by_row:
            continue
        scores: dict[str, float | None] = {}
        for run in by_row[row.name]:
            result = run.result(images)
            if result is None:
                raise ConfigError(f"{run.name}: stopped; give the same command again to go on")
            rate = str(run.config.train.learning_rate)
            scores[rate] = result["scores"]["mean_iou"] if result["state"] == FINISHED else None
        told = {rate: score for rate, score in scores.items() if score is not None}
        if not told:
            raise ConfigError(f"{row.name}: failed with every learning rate of --tune; give lower ones")
        best = max(told, key=lambda rate: told[rate])
        found = {"learning_rate": float(best), "split": tuning.split, "mean_iou": scores}
        write_json(row_folder(table, row, out) / TUNED, found)
        shown = ", ".join(f"{rate}: {'failed' if one is None else f'{100 * one:.1f}'}" for rate, one in scores.items())
        print(f"{row.name}: learning rate {best} of {shown}", file=sys.stderr, flush=True)
