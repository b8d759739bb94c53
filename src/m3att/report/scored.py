"""The figures of a scored model as a page shows them: with intervals, by skill, by kind of failure, beside others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from m3att.report.answers import Answer
from m3att.report.failures import HALF, KINDS, RIGHT
from m3att.report.intervals import Interval, difference_interval, mean_interval, ratio_interval

DRAWS = 2000
ENOUGH = 10  # expressions; the weakest skill has as many, where one has


@dataclass(frozen=True)
class Scored:
    """A scored model.

    Args:
        name: what the report calls it.
        about: one line about what it was scored on.
        scores: of `Scores.to_dict`.
        answers: all of its answers; empty where only the scores are known.
    """

    name: str
    about: str
    scores: Mapping[str, Any]
    answers: tuple[Answer, ...] = ()

    @property
    def images(self) -> NDArray[np.int64]:
        """(N,), the id of each answer's image, which is the same where several data sets show it."""
        return np.array([answer.image_id for answer in self.answers], dtype=np.int64)

    def iou_N(self) -> NDArray[np.float64]:
        """(N,), IoU of each answer."""
        return np.array([answer.iou for answer in self.answers], dtype=np.float64)

    def parts(self) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """Each headline figure as two columns (N,) whose sums are divided."""
        iou_N, ones = self.iou_N(), np.ones(len(self.answers))
        shared = np.array([answer.intersection for answer in self.answers], dtype=np.float64)
        either = np.array([answer.union for answer in self.answers], dtype=np.float64)
        right = (iou_N > HALF).astype(np.float64)
        return {"overall IoU": (shared, either), "mean IoU": (iou_N, ones), "Pr@0.5": (right, ones)}


class Row(NamedTuple):
    """A row of a table of shares.

    Args:
        name: of the skill, kind or answer.
        note: what it means.
        expressions: how many it is of.
        figure: the share, or mean IoU, with its interval.
        right: share of these expressions with an IoU over 0.5.
    """

    name: str
    note: str
    expressions: int
    figure: Interval
    right: float


def headline(scored: Scored) -> dict[str, Interval | None]:
    """Overall IoU, mean IoU and Pr@0.5; with intervals where the answers are known.

    A figure without an interval has its value as both ends.
    """
    if scored.answers:
        parts = scored.parts().items()
        return {name: ratio_interval(*columns, scored.images, DRAWS) for name, columns in parts}
    values = {"overall IoU": scored.scores["overall_iou"], "mean IoU": scored.scores["mean_iou"]}
    values["Pr@0.5"] = scored.scores["precision"].get("0.5")
    return {name: None if value is None else Interval(value, value, value) for name, value in values.items()}


def floors(scored: Scored) -> list[Row]:
    """What the answers that need no words reach on the same expressions; none where not all objects are known."""
    known = [at for at, answer in enumerate(scored.answers) if answer.blind]
    if not known:
        return []
    images, blind = scored.images[known], [scored.answers[at].blind for at in known]
    rows = []
    for name in blind[0]:
        pair_N2 = np.array([one[name] for one in blind])
        figure = mean_interval(pair_N2[:, 0], images, DRAWS)
        rows.append(Row(name, "given its true outline", len(known), figure, float(pair_N2[:, 1].mean())))
    return rows


def by_skill(scored: Scored) -> list[Row]:
    """Mean IoU of the expressions that ask for each skill, the weakest first."""
    iou_N, images = scored.iou_N(), scored.images
    if not scored.answers:
        found = scored.scores["by_skill"].items()
        values = [(name, one["expressions"], one["mean_iou"], one["precision"].get("0.5", 0.0)) for name, one in found]
        return sorted(
            (Row(name, "", count, Interval(mean, mean, mean), right) for name, count, mean, right in values),
            key=lambda row: row.figure.value,
        )
    rows = []
    for skill in dict.fromkeys(skill for answer in scored.answers for skill in answer.skills):
        chosen = np.flatnonzero([skill in answer.skills for answer in scored.answers])
        figure = mean_interval(iou_N[chosen], images[chosen], DRAWS)
        rows.append(Row(skill, "", len(chosen), figure, float((iou_N[chosen] > HALF).mean())))
    return sorted(rows, key=lambda row: row.figure.value)


def by_kind(scored: Scored) -> list[Row]:
    """The share of each kind of answer that there is: right ones first, then failures, the most frequent first."""
    counts = Counter(answer.kind for answer in scored.answers)
    rows = []
    for kind, count in counts.most_common():
        share = mean_interval([answer.kind == kind for answer in scored.answers], scored.images, DRAWS)
        rows.append(Row(kind, KINDS[kind], count, share, float(kind == RIGHT)))
    return sorted(rows, key=lambda row: row.name != RIGHT)


def weakest(rows: Sequence[Row]) -> Row | None:
    """The skill with the lowest mean IoU, of those that enough expressions ask for."""
    return next((row for row in rows if row.expressions >= ENOUGH), next(iter(rows), None))


def worst_failure(rows: Sequence[Row]) -> Row | None:
    """The most frequent kind of failure."""
    return next((row for row in rows if row.name != RIGHT), None)


class Comparison(NamedTuple):
    """A model beside the first of a report, on the same expressions.

    Args:
        name: of the model.
        differences: of each headline figure, this model's less the first one's.
        gained: expressions that it alone has right.
        lost: expressions that the first one alone has right.
        skills: of each skill the difference of mean IoU, with its interval; the largest first.
    """

    name: str
    differences: dict[str, Interval]
    gained: int
    lost: int
    skills: list[Row]


def compare(first: Scored, other: Scored) -> Comparison | None:
    """The difference between two models; None where they were not scored on the same expressions."""
    if not first.answers or keys(first) != keys(other):
        return None
    images, parts = first.images, first.parts()
    differences = {
        name: difference_interval(columns, parts[name], images, DRAWS) for name, columns in other.parts().items()
    }
    (right_N, ones), (before_N, _) = other.parts()["Pr@0.5"], parts["Pr@0.5"]
    mean_N, earlier_N = other.iou_N(), first.iou_N()
    skills = []
    for skill in dict.fromkeys(skill for answer in first.answers for skill in answer.skills):
        chosen = np.flatnonzero([skill in answer.skills for answer in first.answers])
        columns = [(iou_N[chosen], ones[chosen]) for iou_N in (mean_N, earlier_N)]
        difference = difference_interval(columns[0], columns[1], images[chosen], DRAWS)
        skills.append(Row(skill, "", len(chosen), difference, float(right_N[chosen].mean())))
    skills.sort(key=lambda row: -row.figure.value)
    gained, lost = int(((right_N > 0) & (before_N == 0)).sum()), int(((right_N == 0) & (before_N > 0)).sum())
    return Comparison(other.name, differences, gained, lost, skills)


def keys(scored: Scored) -> list[tuple[int, int]]:
    """What tells the scored expressions apart, in their order."""
    return [(answer.image_id, answer.expression_id) for answer in scored.answers]
