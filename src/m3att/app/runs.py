"""`m3att runs`: lists runs, and compares them."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from m3att.app.console import JSON_HELP, CommandParser, printable, probe_file, show, write_json
from m3att.errors import ConfigError

if TYPE_CHECKING:
    from m3att.engine.runs import RunRow

DEFAULT = Path("runs")
MOST = 8  # runs that stand side by side


def runs(words: Sequence[str], prog: str) -> int:
    """`m3att runs`.

    Raises:
        ConfigError: where there is no run.
    """
    parser = CommandParser(prog, "List the runs in some folders, and compare them: settings and scores.")
    parser.add_argument(
        "folders", nargs="*", type=Path, metavar="FOLDER", help="run folders, or folders with runs (default: runs)"
    )
    parser.add_argument(
        "--compare", action="store_true", help=f"put up to {MOST} runs side by side: what differs in their settings"
    )
    parser.add_argument(
        "--sort", choices=("name", "score", "when"), default="name", help="order of the runs (default: %(default)s)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help=f"also write the list to this file{JSON_HELP}")
    given = parser.parse_args(words)
    if given.json is not None:
        probe_file(given.json, "--json")

    from m3att.engine.runs import changed_settings, find_runs
    from m3att.report.tables import plain_table

    places = given.folders or [DEFAULT]
    found = find_runs(places)
    if not found:
        raise ConfigError(f"no run in {', '.join(map(str, places))}; m3att train --out RUN makes one")
    keys: dict[str, Any] = {"score": lambda run: -(run.best or -1.0), "when": lambda run: -run.changed}
    if given.sort in keys:
        found = sorted(found, key=keys[given.sort])
    readable = [run for run in found if run.config is not None]
    if given.compare and len(readable) < 2:
        raise ConfigError(f"only {len(readable)} run to compare: name two run folders or more")
    if given.compare and len(readable) > MOST:
        raise ConfigError(f"{len(readable)} runs are too many to stand side by side: name {MOST} of them or fewer")
    settings = changed_settings(readable) if given.compare else {}
    if given.json is not None:
        differing = {
            key: dict(zip(map(str, (run.path for run in readable)), row, strict=True)) for key, row in settings.items()
        }
        write_json(
            given.json, {"runs": [run.to_dict() for run in found]} | ({"settings": differing} if given.compare else {})
        )
    if given.compare:
        show(plain_table(("", *(printable(str(run.path)) for run in readable)), compared_rows(readable, settings)))
        return 0
    show(
        plain_table(
            ("run", "preset or data", "step", "state", "best mIoU", "loss", "last written"), map(listed_row, found)
        )
    )
    for run in found:
        if run.fault:
            print(f"note: {printable(run.fault)}")
    return 0


def listed_row(run: RunRow) -> tuple[str, ...]:
    """The cells of a run in the list."""
    near = run.preset()
    source = "" if run.config is None else run.config.data.dataset
    if near is not None:
        source = f"{near[0]}{f', {near[1]} changed' if near[1] else ''}"
    steps = "?" if run.steps is None else f"{run.steps:,}"
    return (
        printable(str(run.path)),
        printable(source),
        f"{run.step:,} of {steps}",
        run.state,
        "" if run.best is None else f"{100 * run.best:.1f}",
        "" if run.loss is None else f"{run.loss:.4f}",
        time.strftime("%Y-%m-%d %H:%M", time.localtime(run.changed)),
    )


def compared_rows(found: Sequence[RunRow], settings: Mapping[str, Sequence[Any]]) -> list[tuple[str, ...]]:
    """State and scores of runs, and the settings in which they differ, one a row.

    Args:
        found: the runs, one a column.
        settings: of `changed_settings`.
    """
    cells = [listed_row(run) for run in found]
    rows = [
        (title, *(row[at] for row in cells)) for title, at in (("step", 2), ("state", 3), ("best mIoU", 4), ("loss", 5))
    ]
    names = dict.fromkeys(name for run in found for name in run.scores or {})
    for name in names:
        values = [(run.scores or {}).get(name) for run in found]
        rows.append((f"last {name}", *("" if value is None else f"{100 * value:.1f}" for value in values)))
    rows += [(key, *(json.dumps(value) for value in values)) for key, values in settings.items()]
    return rows if settings else [*rows, ("settings", *("the same" for _ in found))]
