"""Scores and data-set reports as tables for the terminal; the only place where a fraction becomes a percentage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.table import Table

from m3att.errors import counted


def scores_table(scores: Mapping[str, Any]) -> Table:
    """The figures of protocol `original` at every threshold that was counted, in per cent.

    Args:
        scores: of `metrics.Scores.to_dict`.
    """
    at = {float(threshold): figures for threshold, figures in scores["at"].items()}
    precisions = list(next(iter(at.values()))["precision"])
    table = _table("threshold", "overall IoU", "mean IoU", *(f"Pr@{bound}" for bound in precisions))
    for threshold, figures in sorted(at.items()):
        # A baseline gives masks without probabilities, so no threshold can change them.
        name = "any" if "floor" in scores else f"{threshold:g}"
        table.add_row(name, *_figures(figures, ("overall_iou", "mean_iou"), precisions))
        if "floor" in scores:
            break
    return table


BOX_HEADS = ("skill", "expressions", "mean box IoU", "box IoU over 0.5", "pointing accuracy")


def box_rows(scores: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """The figures of expressions whose referents have a box and no mask, in per cent; none where there are none.

    Args:
        scores: of `metrics.Scores.to_dict`.

    Returns:
        Cells under `BOX_HEADS`, of all these expressions and of each skill.
    """
    boxes, names = scores.get("boxes"), ("mean_box_iou", "box_iou_over_0.5", "pointing_accuracy")
    of_skills = {} if boxes is None else {"all": boxes, **boxes["by_skill"]}
    return [
        (skill, f"{one['expressions']:,}", *(f"{100 * one[name]:.1f}" for name in names))
        for skill, one in of_skills.items()
    ]


def boxes_table(scores: Mapping[str, Any]) -> Table | None:
    """The table of `box_rows`; None where there are none."""
    table = _table(*BOX_HEADS)
    for row in box_rows(scores):
        table.add_row(*row)
    return table if table.row_count else None


PROTOCOLS_NOTE = "* the figure that the papers of the protocol report first; docs/evaluation.md explains the protocols"


def protocols_table(scores: Mapping[str, Any]) -> Table:
    """The figures of the same predictions under each protocol, in per cent; a star marks the papers' first figure.

    Where some expressions mean nothing, N-acc. and T-acc. take the place of the lower precisions.

    Args:
        scores: of `metrics.Scores.to_dict`.
    """
    nothing = scores.get("no_target_expressions", 0) > 0
    bounds = ("0.7", "0.8", "0.9") if nothing else ("0.5", "0.6", "0.7", "0.8", "0.9")
    accuracies = {"no_target_accuracy": "N-acc.", "target_accuracy": "T-acc."} if nothing else {}
    table = _table("protocol", "overall IoU", "mean IoU", *accuracies.values(), *(f"Pr@{bound}" for bound in bounds))
    for name, figures in scores["protocols"].items():
        row = [
            f"{100 * figures[figure]:.1f}" + ("*" if figure == figures["headline"] else " ")
            for figure in ("overall_iou", "mean_iou")
        ]
        row += [f"{100 * figures[accuracy]:.1f}" for accuracy in accuracies]
        precision = figures["precision"]
        row += [f"{100 * precision[bound]:.1f}" if bound in precision else "-" for bound in bounds]
        table.add_row(name, *row)
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


FEWEST_MASKS = 10
"""Masks that a reliability diagram needs, one for each of its ranges of scores: the means of fewer are chance."""


def reliability_table(trust: Mapping[str, Any]) -> Table | None:
    """A reliability diagram in figures: for the masks of each range of scores the mean score and the IoU, in per cent.

    Args:
        trust: ``reliability`` of `Scores.to_dict`.

    Returns:
        None where there are fewer than `FEWEST_MASKS` masks.
    """
    if trust["expressions"] < FEWEST_MASKS:
        return None
    table = _table("score", "masks", "mean score", "mean IoU", "IoU over 0.5")
    for one in trust["bins"]:
        figures = (f"{100 * one[name]:.1f}" for name in ("score", "mean_iou", "over_half"))
        table.add_row(f"{one['from']:.1f} to {one['to']:.1f}", f"{one['expressions']:,}", *figures)
    return table


def reliability_line(scores: Mapping[str, Any]) -> str:
    """One line that says how far the scores can be trusted.

    Args:
        scores: of `metrics.Scores.to_dict`.
    """
    trust = scores["reliability"]
    kind = "calibrated scores" if scores["calibrated"] else "scores (not calibrated: mean probability in the mask)"
    parts = [f"{kind} against IoU: expected calibration error {100 * trust['expected_calibration_error']:.1f} %"]
    nothing = trust.get("no_target")
    if nothing:
        parts.append(
            f"mean score {nothing['score']:.2f} where the expression names nothing, "
            f"{nothing['score_of_others']:.2f} elsewhere; the second is higher in {100 * nothing['told_apart']:.0f} % "
            "of pairs"
        )
    return "; ".join(parts)


def scores_heading(scores: Mapping[str, Any]) -> str:
    """One line that says what was scored.

    Args:
        scores: of `metrics.Scores.to_dict`.
    """
    split_by = f" ({scores['split_by']})" if scores.get("split_by") else ""
    outlined, boxed = scores["expressions"], scores.get("boxes", {}).get("expressions", 0)
    kinds = f" ({outlined:,} scored by masks, {boxed:,} by boxes)" if boxed else ""
    parts = [
        f"{scores['dataset']} {scores['split']}{split_by}",
        f"{counted(outlined + boxed, 'expression')} on {counted(scores['images'], 'image')}{kinds}",
        f"pixels: {scores['pixels']}",
        f"protocol: {scores['protocol']}",
    ]
    if scores.get("same_words"):
        parts.append("blind: every expression replaced by one and the same word")
    if scores.get("cut_expressions"):
        parts.append(f"{counted(scores['cut_expressions'], 'expression')} cut at the word limit")
    if scores.get("nearest_spelling"):
        parts.append("unknown words read as their nearest known spelling")
    unknown = scores.get("unknown_words", {})
    if unknown.get("expressions"):
        parts.append(
            f"{counted(unknown['expressions'], 'expression')} with words that the model does not know, "
            f"{unknown['without_known_word']:,} of them without a known word"
        )
    if scores.get("left_out", {}).get("expressions"):
        parts.append(f"{counted(scores['left_out']['expressions'], 'expression')} left out, unreadable")
    return "; ".join(parts)


def splits_table(report: Mapping[str, Any]) -> Table:
    """The splits of a data set, beside the published counts.

    Args:
        report: of `data.refer.check_report.DatasetReport.to_dict`.
    """
    table = _table("split", "referents", "expressions", "images", "words", "longest", "cut", "published counts")
    for name, split in report["splits"].items():
        numbers = (split[key] for key in ("refs", "sentences", "images", "words", "longest", "over_limit"))
        published = [split["published"][key] for key in ("refs", "sentences")]
        stated = ", ".join(f"{count:,}" for count in published if count is not None)
        told = f"{split['counts']} ({stated})" if stated else split["counts"]
        table.add_row(name, *(f"{number:,}" for number in numbers), told)
    return table


def parts_table(summary: Mapping[str, Any]) -> Table:
    """Parameters and operations of a network, part by part.

    Args:
        summary: of `dry_run.DryRun.to_dict`.
    """
    columns = ("trainable", "frozen", "per_image", "per_expression")
    table = _table("part", "trainable", "frozen", "multiply-adds an image", "an expression")
    for part in (*summary["parts"], summary["total"] | {"name": "total"}):
        table.add_row(part["name"], *(short_count(part[column]) for column in columns))
    return table


def reading_table(figures: Mapping[str, Any]) -> Table:
    """What one core reads, stage by stage.

    Args:
        figures: of `reading.measure_reading`.
    """
    table = _table(
        f"{figures['images']} photos of {figures['megapixels']:.2f} megapixels, {figures['objects']} objects",
        "images a second",
        "ms an image",
    )
    size = f"{figures['size']} x {figures['size']}"
    rows = [
        ("floor: Pillow decodes", figures["floor"]["pillow"]),
        ("floor: OpenCV decodes", figures["floor"]["opencv"]),
        ("decode", figures["stages"]["decode"]),
        (f"resize to {size} ({figures['resize']})", figures["stages"]["resize"]),
        ("rasterise and resize all masks", figures["stages"]["masks"]),
        ("all three", figures["whole"]),
    ]
    for name, pace in rows:
        table.add_row(name, f"{pace:.0f}", f"{1000 / pace:.2f}")
    return table


def opening_table(figures: Mapping[str, Any]) -> Table:
    """What opening a split takes.

    Args:
        figures: of `opening.measure_opening`.
    """
    table = _table(
        f"{counted(figures['expressions'], 'expression')} on {counted(figures['images'], 'image')}",
        "seconds",
        "CPU seconds",
        "peak MB",
    )
    for name in ("cold", "cached"):
        row = figures[name]
        table.add_row(name, f"{row['seconds']:.2f}", f"{row['cpu_seconds']:.2f}", f"{row['peak_mb']:.0f}")
    for workers, memory in figures["workers"].items():
        table.add_row(f"{workers} reading processes", "", "", f"{memory:.0f}")
    return table


def speed_table(figures: Mapping[str, Any]) -> Table:
    """Seconds for some expressions on one image, and what a further one costs.

    Args:
        figures: of `speed.measure_speed`.
    """
    contestants = figures["contestants"]
    counts = list(next(iter(contestants.values()))["seconds"])
    height, width = figures["image"]
    heading = f"{width} x {height} pixels, threads: {figures['threads']}, least of {figures['rounds']}, seconds"
    table = _table(heading, *(f"expressions: {count}" for count in counts), "a further one")
    for name, found in contestants.items():
        further = "-" if found["further"] is None else f"{found['further']:.4f}"
        table.add_row(name, *(f"{found['seconds'][count]['least']:.3f}" for count in counts), further)
    return table


def short_count(count: int) -> str:
    """A large count by its thousands, millions or billions; a dash for none."""
    for unit, name in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if count >= unit:
            return f"{count / unit:.2f} {name}"
    return str(count) if count else "-"


def faults_of(report: Mapping[str, Any]) -> list[str]:
    """What is wrong with a data set, one line for each kind of fault.

    Args:
        report: of `data.refer.check_report.DatasetReport.to_dict`.
    """
    found = [f"{kind}: {_some(report[key])}" for key, kind in (
        # Layouts are drawn from boxes, and no outline is read.
        *([("broken_segmentations", "broken segmentations")] if report["pixels"] != "layout" else []),
        ("repeated_ids", "annotation ids that stand twice"),
        ("repeated_images", "image ids that stand twice"),
        ("odd_entries", "entries of instances.json that cannot be read"),
    ) if report[key]["count"]]  # fmt: skip
    found += [f"unknown split: {name}" for name in report["unknown_splits"]]
    if not report["shared_by_design"]:
        found += [f"{pair} share {counted(count, 'image')}" for pair, count in report["shared_images"].items()]
    for name, split in report["splits"].items():
        if split["counts"] == "differs":
            found.append(f"{name}: the counts are not those that were published")
        if split["missing_annotations"]["count"]:
            found.append(f"{name}: referents without their annotation: {_some(split['missing_annotations'])}")
        if split["odd"]["count"]:
            found.append(f"{name}: referents or sentences that cannot be read: {_some(split['odd'])}")
        if split["wordless"]["count"]:
            found.append(f"{name}: sentences without a word: {_some(split['wordless'])}")
        if split["left_out"]["count"]:
            found.append(f"{name}: entries that are left out: {_some(split['left_out'])}")
        if split["misnamed_images"]["count"]:
            found.append(
                f"{name}: images without a file name, or named outside the folder: {_some(split['misnamed_images'])}"
            )
        if split["unreadable_masks"]["count"] and report["pixels"] == "photos":
            found.append(f"{name}: referents whose mask cannot be drawn: {_some(split['unreadable_masks'])}")
        if split["unreadable_photos"]["count"]:
            found.append(
                f"{name}: photos that cannot be read, or not at the size stated: {_some(split['unreadable_photos'])}"
            )
        if split["missing_images"]["count"] and report["pixels"] == "photos":
            found.append(f"{name}: photos missing in {report['image_root']}: {_some(split['missing_images'])}")
    if not any(split["refs"] for split in report["splits"].values()):
        found.append("the file holds no referent of any split")
    if report["pixels"] == "none":
        wanted = sum(split["images"] for split in report["splits"].values())
        found.append(
            f"none of the {counted(wanted, 'photo')} is there, looked for in {report['image_root']} and beside it, "
            "and nothing is drawn in their place: give their folder as --image-root"
        )
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
