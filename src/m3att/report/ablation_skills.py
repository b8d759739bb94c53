"""Ablation tables by skill: where a row of a table gains or loses, such as at long expressions or at negations.

The paper shows examples of such gains (Fig. 7) and counts none.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Any

from m3att.report.seeds import paired_interval

PROVEN = "\\*"  # in Markdown
NOTHING = "-"


def skills_of_row(own: Mapping[int, Mapping[str, Any]], rival: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    """The mean IoU of a row by skill, and its differences to another row.

    Args:
        own: scores of the row's runs by seed, as `metrics.Scores.to_dict` gives them.
        rival: the same of the row that it is compared with; empty where there is none.

    Returns:
        For each skill that all runs of the row have: ``expressions`` that carry it, ``mean_iou`` as fractions in the
        order of the seeds, and ``difference``: its ``mean`` and 95 % ``interval``, seed by seed, or None where no seed
        has both rows. The interval is None where only one seed has both.
    """
    skills = [set(scores.get("by_skill", ())) for scores in own.values()]
    found = {}
    for skill in sorted(set.intersection(*skills)) if skills else ():
        of = {seed: scores["by_skill"][skill] for seed, scores in own.items()}
        pairs = [
            of[seed]["mean_iou"] - scores["by_skill"][skill]["mean_iou"]
            for seed, scores in sorted(rival.items())
            if seed in of and skill in scores.get("by_skill", ())
        ]
        difference = {"mean": statistics.mean(pairs), "interval": paired_interval(pairs)} if pairs else None
        found[skill] = {
            "expressions": next(iter(of.values()))["expressions"],
            "mean_iou": [of[seed]["mean_iou"] for seed in sorted(of)],
            "difference": difference,
        }
    return found


def skills_markdown(summary: Mapping[str, Any]) -> list[str]:
    """Lines of Markdown: a table with a line for each row and a column for each skill; none without skills.

    Args:
        summary: of `ablation_tables.summarise`.
    """
    rows = [row for row in summary["rows"] if row.get("by_skill")]
    if not rows:
        return []
    skills = list(dict.fromkeys(skill for row in rows for skill in row["by_skill"]))
    counts = {skill: one["expressions"] for row in rows for skill, one in row["by_skill"].items()}
    heads = ["row", *(f"{skill} ({counts[skill]:,})" for skill in skills)]
    lines = [[row["name"], *(_cell(row["by_skill"].get(skill)) for skill in skills)] for row in rows]
    return [
        "",
        "By skill: mean IoU in per cent, with the number of expressions in the head; in brackets the difference to "
        "the row that the table compares with, seed by seed. A star: its 95 % interval leaves out 0. Of many "
        "differences some have a star by chance: one in twenty if none were real.",
        "",
        "| " + " | ".join(heads) + " |",
        "|---" + "|---:" * len(skills) + "|",
        *("| " + " | ".join(line) + " |" for line in lines),
    ]


def _cell(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return NOTHING
    text = f"{100 * statistics.mean(found['mean_iou']):.1f}"
    difference = found["difference"]
    if difference is None:
        return text
    interval = difference["interval"]
    star = PROVEN if interval and (interval[0] > 0 or interval[1] < 0) else ""
    return f"{text} ({100 * difference['mean']:+.1f}{star})"
