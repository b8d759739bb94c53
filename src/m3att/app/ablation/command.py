"""`m3att ablate`: the paper's ablation tables, trained row by row and written beside the paper's figures."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from m3att.ablations import OURS, TABLES, Row, Table, find_table
from m3att.app.ablation.schedule import Run, check_folder, fitting_rows, hold, plan, read_result, run_all, seeds_found
from m3att.app.ablation.tune import Tuning, read_tuning, tune
from m3att.app.console import write_json
from m3att.app.run_settings import given_settings, note_idle, started_config, with_options
from m3att.app.train import ended
from m3att.config import RunConfig
from m3att.engine.run_folder import RunFolder
from m3att.errors import ConfigError, StoppedError
from m3att.launched import require_one_process
from m3att.report.ablation_tables import FAILED, summarise, to_latex, to_markdown
from m3att.settings import SettingsParser, add_settings, config_to_yaml, flatten

GO_ON = "what is finished stays; go on with the same words"


def ablate(words: Sequence[str], prog: str) -> int:
    """`m3att ablate`: exit code 1 where a run failed."""
    parser = SettingsParser(
        prog,
        description="Train the rows of ablation tables with equal budgets, score them, and write each table with mean "
        "and spread over seeds beside the paper's figures. Give the same command again to continue: finished runs are "
        "kept, and a stopped run goes on.",
        usage=f"{prog} --table {'|'.join(TABLES)} (several: 1,2,3) --preset NAME | --config FILE "
        "[--section.field VALUE ...] --out DIR [--rows NAME,NAME] [--seeds N] [--jobs N] [--images N] "
        "[--tune RATE,RATE --tune-split SPLIT] | --table NAME,NAME --out DIR --report",
        epilog="rows: " + " ".join(f"table {name}: {_names(table.rows)}." for name, table in TABLES.items()),
    )
    parser.add_argument("--table", type=str, metavar="NAME,NAME", help=f"the tables: of {', '.join(TABLES)}")
    parser.add_argument("--rows", type=str, metavar="NAME,NAME", help="only these rows of one table (default: all)")
    parser.add_argument(
        "--seeds", type=int, metavar="N", help="number of runs of each row; seeds count up from train.seed (default: 1)"
    )
    parser.add_argument("--jobs", type=int, metavar="N", help="runs at once, with one thread each (default: 1)")
    parser.add_argument(
        "--images", type=int, metavar="N", help="score only this many images of the split (default: all)"
    )
    parser.add_argument(
        "--tune", type=str, metavar="RATE,RATE", help="first choose one of these learning rates for each row"
    )
    parser.add_argument(
        "--tune-split",
        type=str,
        metavar="SPLIT",
        help="the split on which --tune compares the rates; not the one that the table is scored on",
    )
    parser.add_argument("--report", action="store_true", help="train nothing; write the table from the runs that exist")
    parser.add_argument("--out", type=str, metavar="DIR", help="folder for runs and tables")
    parser.add_argument("--preset", type=str, metavar="NAME", help="start from a preset; `m3att presets` lists them")
    parser.add_argument("--config", type=str, metavar="FILE", help="YAML with any of the settings below")
    add_settings(parser, RunConfig)
    given = parser.parse_args(words, defaults=False).as_dict()
    for option in ("table", "out"):
        if not given.get(option):
            parser.error(f"--{option} is missing; see {prog} --help")
    for option in ("seeds", "jobs", "images"):
        if given.get(option, 1) < 1:
            parser.error(f"--{option} is 1 or more")
    tables, out = find_tables(given["table"]), Path(given["out"])
    if given.get("report"):
        return max([report_again(table, out, given) for table in tables])
    if given.get("rows") and len(tables) > 1:
        parser.error("--rows is for one table; give --table one name")
    names = given["rows"].split(",") if given.get("rows") else None
    parts = [(table, table.find([name.strip() for name in names]) if names else table.rows) for table in tables]
    base = base_config(given, out)
    options = settings_options(given)
    tuning = read_tuning(given.get("tune"), given.get("tune_split"), base.data.split)
    note_idle(base, given_settings(given, options))
    stated = set(OURS).union(*(row.changes for _, chosen in parts for row in chosen))
    for key in sorted(set(flatten(options)) & stated):
        print(f"note: --{key} has no effect on rows that set it themselves, as the table wants", file=sys.stderr)
    seeds = range(base.train.seed, base.train.seed + given.get("seeds", 1))
    for table, chosen in parts:  # what does not fit the folder is said before hours of training, not after
        check_folder(base, plan(base, table, chosen, seeds, out), out)
    images, jobs = given.get("images"), given.get("jobs", 1)
    return max([run_table(base, table, chosen, seeds, out, images, jobs, tuning) for table, chosen in parts])


def find_tables(names: str) -> list[Table]:
    """The tables of `--table`, in the order given, each once.

    Args:
        names: of tables, with commas between them.

    Raises:
        ConfigError: where there is none of a name; the message lists them.
    """
    return [find_table(name) for name in dict.fromkeys(name.strip() for name in names.split(","))]


def report_again(table: Table, out: Path, given: Mapping[str, Any]) -> int:
    """`--report`: write the table of what is there.

    Args:
        table: of the paper.
        out: folder of the runs.
        given: options of the command line; any other than table and folder is refused.

    Raises:
        ConfigError: where other options are given.
    """
    allowed = {"table", "out", "report"}
    idle = [name for name, value in given.items() if name not in allowed and value is not None]
    if idle:
        raise ConfigError(f"--report only writes the table again: leave out --{idle[0].replace('_', '-')}")
    if not RunFolder(out).is_run:
        raise ConfigError(f"{out}: no ablation runs there (it has no config.yaml)")
    base = RunFolder(out).read_config()
    runs = plan(base, table, fitting_rows(base, table), seeds_found(table, out), out)
    results = [(run, result) for run in runs if (result := read_result(run.folder)) is not None]
    print(write_tables(table, results, sorted({run.seed for run in runs}), out))
    return 1 if any(result["state"] == FAILED for _, result in results) else 0


def base_config(given: Mapping[str, Any], out: Path) -> RunConfig:
    """What the rows are laid over: preset < config file < options, or what the folder was made with.

    Raises:
        ConfigError: where none of these says what to train.
    """
    options = settings_options(given)
    if given.get("preset") or given.get("config") or not RunFolder(out).is_run:
        return started_config(given, options)
    return with_options(RunFolder(out).read_config(), options)


def settings_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the given options that are settings of a run, nested."""
    return {field.name: given[field.name] for field in fields(RunConfig) if field.name in given}


def run_table(
    base: RunConfig,
    table: Table,
    rows: Sequence[Row],
    seeds: Sequence[int],
    out: Path,
    images: int | None,
    jobs: int,
    tuning: Tuning | None = None,
) -> int:
    """Train and score what is missing, and write the table after each run; returns the exit code.

    Args:
        base: settings that every row starts from.
        table: of the paper.
        rows: to train.
        seeds: of each row.
        out: folder of the runs.
        images: validation images that are scored at most.
        jobs: processes at a time.
        tuning: learning rates that are tried for each row first; None: the rate of the settings.
    """
    from m3att.engine.stopping import Stopping
    from m3att.files import replace_file

    require_one_process()
    check_folder(base, plan(base, table, rows, seeds, out), out)
    with hold(out) as lock:
        if not RunFolder(out).is_run:
            replace_file(RunFolder(out).config, config_to_yaml(base).encode())
        if tuning is not None:
            try:
                with Stopping().listening():
                    tune(base, table, rows, tuning, out, images, lambda some: run_all(some, images, jobs, lock, told))
            except (KeyboardInterrupt, StoppedError) as ending:
                raise ended(ending, GO_ON) from None
        runs = plan(base, table, rows, seeds, out)
        check_folder(base, runs, out)
        missing = list({run.folder: run for run in reversed(runs) if run.result(images) is None}.values())[::-1]
        every = len({run.folder for run in runs})
        said = f"table {table.name}: {every} runs, {every - len(missing)} of them done; {jobs} at once"
        print(said, file=sys.stderr, flush=True)
        stopped: list[Run] = []

        def done(run: Run, code: int) -> None:
            if run.result(images) is None:
                stopped.append(run)
                print(f"{run.name}: stopped with exit code {code}", file=sys.stderr, flush=True)
            write_tables(table, found(base, table, seeds, out, images), seeds_of(table, seeds, out), out)

        try:
            with Stopping().listening():
                run_all(missing, images, jobs, lock, done)
        except (KeyboardInterrupt, StoppedError) as ending:
            raise ended(ending, GO_ON) from None
        results = found(base, table, seeds, out, images)
        print(write_tables(table, results, seeds_of(table, seeds, out), out))
    failed = [run for run in runs if (run.result(images) or {}).get("state") == FAILED]
    for run in failed:
        print(f"{run.name}: failed; to try again, delete {run.folder}", file=sys.stderr)
    return 1 if failed or stopped else 0


def told(run: Run, code: int) -> None:
    """Say that a run of a tuning stopped before its end.

    Args:
        run: of the tuning.
        code: exit code of its process.
    """
    if code:
        print(f"{run.name}: stopped with exit code {code}", file=sys.stderr, flush=True)


def seeds_of(table: Table, seeds: Sequence[int], out: Path) -> list[int]:
    """The seeds asked for, and those of earlier commands in the folder.

    Args:
        table: of the paper.
        seeds: asked for.
        out: folder of the runs.
    """
    return sorted({*seeds, *seeds_found(table, out)})


def found(
    base: RunConfig, table: Table, seeds: Sequence[int], out: Path, images: int | None
) -> list[tuple[Run, Mapping[str, Any]]]:
    """The finished and failed runs of all rows of a table, of earlier commands too.

    Args:
        base: settings that every row starts from.
        table: of the paper.
        seeds: asked for.
        out: folder of the runs.
        images: validation images that are scored at most.
    """
    runs = plan(base, table, fitting_rows(base, table), seeds_of(table, seeds, out), out)
    return [(run, result) for run in runs if (result := run.result(images)) is not None]


def write_tables(
    table: Table, results: Iterable[tuple[Run, Mapping[str, Any]]], seeds: Sequence[int], out: Path
) -> str:
    """Write a table as JSON, Markdown and LaTeX, and the curves of its rows as SVG; returns the Markdown.

    Args:
        table: of the paper.
        results: each run with its figures.
        seeds: of each row.
        out: folder to write to.
    """
    from m3att.files import replace_file
    from m3att.report.ablation_curves import write_curves

    summary = summary_of(table, results, seeds)
    markdown = to_markdown(summary, table)
    write_json(out / f"table-{table.name}.json", summary)
    replace_file(out / f"table-{table.name}.md", markdown.encode())
    replace_file(out / f"table-{table.name}.tex", to_latex(summary, table).encode())
    write_curves(out / f"table-{table.name}-curves.svg", summary)
    return markdown


def summary_of(table: Table, results: Iterable[tuple[Run, Mapping[str, Any]]], seeds: Sequence[int]) -> dict[str, Any]:
    """A table as plain values; see `summarise`.

    Args:
        table: of the paper.
        results: each run with its figures.
        seeds: of each row.
    """
    by_row: dict[str, dict[int, Mapping[str, Any]]] = {}
    for run, result in results:
        by_row.setdefault(run.row.name, {})[run.seed] = result
    return summarise(table, by_row, seeds)


def summaries(out: Path) -> Iterator[tuple[Table, dict[str, Any], list[Run]]]:
    """Each table that a folder has runs of, with its summary and its runs, finished or not.

    Args:
        out: folder of the runs.
    """
    base = RunFolder(out).read_config()
    for table in TABLES.values():
        if any((out / f"table-{table.name}").glob("*/seed-*")):
            seeds = seeds_found(table, out)
            runs = [run for run in plan(base, table, fitting_rows(base, table), seeds, out) if run.folder.is_dir()]
            results = [(run, result) for run in runs if (result := read_result(run.folder)) is not None]
            yield table, summary_of(table, results, seeds), runs


def _names(rows: Iterable[Row]) -> str:
    return ", ".join(row.name for row in rows)
