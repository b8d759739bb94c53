"""Scores and data-set reports as tables for the terminal; the only place where a fraction becomes a percentage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.table import Table


def scores_table(scores: Mapping[str, Any]) -> Table:
    """The figures at every threshold that was counted, in per cent.

    Args:
        scores: of `metrics.Scores.to_dict`.
    """
    at = {float(threshold): figures for threshold, figures in scores["at"].items()}
    precisions = list(scores["precision"])
    table = _table("threshold", "overall IoU", "mean IoU", *(f"Pr@{bound}" for bound in precisions))
    for threshold, figures in sorted(at.items()):
        # A floor is a mask as it stands: no threshold could change it.
        name = "any" if "floor" in scores else f"{threshold:g}"
        table.add_row(name, *_figures(figures, ("overall_iou", "mean_iou"), precisions))
        if "floor" in scores:
            break
    return table


def skills_table(scores: Mapping[str, Any]) -> Table | None:
    """The figures by skill at the headline threshold, in per cent; None where no expression carries a skill.

    Args:
        scores: of `metrics.Scores.to_dict`.
    """
    if not scores["by_skill"]:
        return None
    precisions = list(scores["precision"])
    table = _table("skill", "expressions", "mean IoU", *(f"Pr@{bound}" for bound in precisions))
    for skill, figures in scores["by_skill"].items():
        table.add_row(skill, f"{figures['expressions']:,}", *_figures(figures, ("mean_iou",), precisions))
    return table


def scores_heading(scores: Mapping[str, Any]) -> str:
    """What was scored, in one line: without it, a figure means nothing.

    Args:
        scores: of `metrics.Scores.to_dict`.
    """
    split_by = f" ({scores['split_by']})" if scores.get("split_by") else ""
    parts = [
        f"{scores['dataset']} {scores['split']}{split_by}",
        f"{scores['expressions']:,} expressions on {scores['images']:,} images",
        f"pixels: {scores['pixels']}",
        f"protocol: {scores['protocol']}",
    ]
    if scores.get("same_words"):
        parts.append("blind: every expression replaced by one and the same word")
    if scores.get("cut_expressions"):
        parts.append(f"{scores['cut_expressions']:,} expressions cut at the word limit")
    return "; ".join(parts)


def splits_table(report: Mapping[str, Any]) -> Table:
    """The splits of a data set, beside the published counts.

    Args:
        report: of `data.check.DatasetReport.to_dict`.
    """
    table = _table("split", "referents", "expressions", "images", "words", "longest", "cut", "published counts")
    for name, split in report["splits"].items():
        numbers = (split[key] for key in ("refs", "sentences", "images", "words", "longest", "over_limit"))
        published = [split["published"][key] for key in ("refs", "sentences")]
        stated = ", ".join(f"{count:,}" for count in published if count is not None)
        told = f"{split['counts']} ({stated})" if stated else split["counts"]
        table.add_row(name, *(f"{number:,}" for number in numbers), told)
    return table


def faults_of(report: Mapping[str, Any]) -> list[str]:
    """What is wrong with a data set, one line for each kind of fault.

    Args:
        report: of `data.check.DatasetReport.to_dict`.
    """
    found = [f"{kind}: {_some(report[key])}" for key, kind in (
        ("broken_segmentations", "broken segmentations"),
        ("repeated_ids", "annotation ids that stand twice"),
    ) if report[key]["count"]]  # fmt: skip
    found += [f"unknown split: {name}" for name in report["unknown_splits"]]
    found += [f"{pair} share {count:,} images" for pair, count in report["shared_images"].items()]
    for name, split in report["splits"].items():
        if split["counts"] == "differs":
            found.append(f"{name}: the counts are not those that were published")
        if split["missing_annotations"]["count"]:
            found.append(f"{name}: referents without their annotation: {_some(split['missing_annotations'])}")
        if split["wordless"]["count"]:
            found.append(f"{name}: sentences without a word: {_some(split['wordless'])}")
        if split["missing_images"]["count"] and report["pixels"] == "photos":
            found.append(f"{name}: photos missing in {report['image_root']}: {_some(split['missing_images'])}")
    if report["pixels"] == "none":
        found.append(f"neither photos in {report['image_root']} nor boxes to draw: nothing to look at")
    return found


def plain_table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> Table:
    """A table of words."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(first)
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _figures(figures: Mapping[str, Any], names: Iterable[str], precisions: Iterable[str]) -> list[str]:
    fractions = [figures[name] for name in names] + [figures["precision"][bound] for bound in precisions]
    return [f"{100 * fraction:.1f}" for fraction in fractions]


def _some(faults: Mapping[str, Any]) -> str:
    rest = faults["count"] - len(faults["first"])
    return ", ".join(faults["first"]) + (f" and {rest:,} more" if rest else "")
