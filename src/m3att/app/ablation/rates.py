"""The learning rates that `m3att ablate --tune` chose, as the folder of a row holds them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from m3att.ablations import TABLES, Row, Table, row_config
from m3att.config import RunConfig
from m3att.errors import ConfigError, DataError

TUNED = "tuned.json"


def row_folder(table: Table, row: Row, out: Path) -> Path:
    """`OUT/table-2/ours`.

    Args:
        table: of the paper.
        row: of the table.
        out: folder of the runs.
    """
    return out / f"table-{table.name}" / row.name


def read_tuned(base: RunConfig, table: Table, row: Row, out: Path) -> dict[str, Any] | None:
    """What was tuned for a row, or for a row of another table that is the same network; None where nothing was.

    Args:
        base: settings that every row starts from.
        table: of the paper.
        row: of the table.
        out: folder of the runs.

    Raises:
        DataError: where a file is none of a tuning.
    """
    own = row_folder(table, row, out) / TUNED
    places = [own]
    for other in TABLES.values():
        for twin in other.rows:
            place = row_folder(other, twin, out) / TUNED
            if place != own and place.is_file() and same_network(base, row, twin):
                places.append(place)
    for place in places:
        if place.is_file():
            try:
                found: dict[str, Any] = json.loads(place.read_text(encoding="utf-8"))
                float(found["learning_rate"])
            except (ValueError, KeyError, TypeError) as error:
                raise DataError(f"{place}: not the result of a tuning; delete it, and it is tuned again") from error
            return found
    return None


def same_network(base: RunConfig, row: Row, other: Row) -> bool:
    """Whether two rows are the same run.

    Args:
        base: settings that every row starts from.
        row: one.
        other: the other, which may not fit the base at all.
    """
    try:
        return row_config(base, row, 0) == row_config(base, other, 0)
    except ConfigError:
        return False


def tuned_config(base: RunConfig, table: Table, row: Row, seed: int, out: Path) -> RunConfig:
    """The run of a row and seed, with the learning rate that was tuned for the row, if one was.

    Args:
        base: settings that every row starts from.
        table: of the paper.
        row: of the table.
        seed: of the run.
        out: folder of the runs.

    Raises:
        ConfigError: if the settings of the row do not fit those of the base.
    """
    config = row_config(base, row, seed)
    found = read_tuned(base, table, row, out)
    if found is None:
        return config
    return replace(config, train=replace(config.train, learning_rate=float(found["learning_rate"])))
