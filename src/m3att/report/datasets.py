"""What `m3att data check` prints besides the table of splits: lengths of expressions, and remarks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from m3att.errors import counted


def words_table(report: Mapping[str, Any]) -> Table:
    """How long the expressions of each split are, and how many the usual word limits cut.

    Args:
        report: of `data.refer.check_report.DatasetReport.to_dict`.
    """
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    told = {name: split for name, split in report["splits"].items() if split["lengths"]}
    percentiles = next((list(split["lengths"]) for split in told.values()), [])
    limits = next((list(split["over"]) for split in told.values()), [])
    heads = [f"{percentile}% have at most" for percentile in percentiles[:1]] + [f"{one}%" for one in percentiles[1:]]
    for column in ("split", "vocabulary", *heads, *(f"over {limit} words" for limit in limits)):
        table.add_column(column, justify="left" if column == "split" else "right", no_wrap=True)
    for name, split in told.items():
        numbers = (split["words"], *split["lengths"].values(), *split["over"].values())
        table.add_row(name, *(f"{number:,}" for number in numbers))
    return table


def remarks_of(report: Mapping[str, Any]) -> list[str]:
    """Remarks about a data set that are not faults of this copy, one line each.

    Args:
        report: of `data.refer.check_report.DatasetReport.to_dict`.
    """
    said = []
    if report["shared_by_design"]:
        said += [
            f"{pair} share {counted(count, 'image')}: {report['split_by']} divided the objects and not the images, "
            "so a network has seen them in training"
            for pair, count in report["shared_images"].items()
        ]
    for name, split in report["splits"].items():
        if split["several_targets"] or split["no_target"]:
            said.append(
                f"{name}: several objects are named by {counted(split['several_targets'], 'expression')}, none by "
                f"{split['no_target']:,}"
            )
        if split["boxed"]:
            verb = "names" if split["boxed"] == 1 else "name"
            said.append(f"{name}: {counted(split['boxed'], 'expression')} {verb} what has a box and no mask")
        if split["unnamed"]:
            said.append(
                f"{name}: {counted(split['unnamed'], 'object')} without an expression; only the category loss uses them"
            )
        if split["silent"]:
            said.append(f"{name}: {counted(split['silent'], 'referent')} without an expression, left out")
        if split["known_missing"]:
            said.append(f"{name}: {split['known_missing']} of the missing photos are known to be bad in most copies")
    if list(report["splits"]) == ["everything"]:
        images = report["splits"]["everything"]["images"]
        held_out = report["held_out"]
        division = (
            f"training holds out {held_out:,} of the {counted(images, 'image')} to validate on"
            if held_out
            else f"of {counted(images, 'image')} none can be held out, so training validates on all of them"
        )
        said.append(f"the data state no split: {division} (--data.held_out, --data.seed)")
    if report["without_image"]:
        said.append(f"{counted(report['without_image'], 'annotation')} of images that instances.json does not list")
    said += report["notes"]["first"]
    if rest := report["notes"]["count"] - len(report["notes"]["first"]):
        said.append(f"{rest:,} more notes like these")
    return said
