"""The field's figures, from whole-number counts, so that no order, batch or shard can change them.

Overall IoU divides the summed intersections by the summed unions; mean IoU averages each expression's IoU. Papers mix
the two up; every report here gives both.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

PRECISION_AT = (0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass
class MaskCounts:
    """Intersection and union of each scored expression, in pixels, with its skills.

    Counts of shards are joined with `extend`; the figures are functions of the joined counts alone.
    """

    intersections: list[int] = field(default_factory=list)
    unions: list[int] = field(default_factory=list)
    skills: list[tuple[str, ...]] = field(default_factory=list)

    def add(self, intersection: int, union: int, skills: tuple[str, ...] = ()) -> None:
        """Count one expression."""
        self.intersections.append(intersection)
        self.unions.append(union)
        self.skills.append(skills)

    def extend(self, other: MaskCounts) -> None:
        """Join the counts of another shard."""
        self.intersections += other.intersections
        self.unions += other.unions
        self.skills += other.skills

    def __len__(self) -> int:
        return len(self.unions)

    def iou_N(self) -> NDArray[np.float64]:
        """IoU of each expression; 0 where prediction and truth are both empty, as in the field's evaluators."""
        unions = np.array(self.unions, dtype=np.float64)
        return np.divide(self.intersections, unions, out=np.zeros(len(unions)), where=unions > 0)

    def figures(self) -> dict[str, Any]:
        """overall_iou, mean_iou, precision and expressions, in [0, 1]; all zero where nothing was counted."""
        iou_N = self.iou_N()
        total = sum(self.unions)
        return {
            "overall_iou": sum(self.intersections) / total if total else 0.0,
            # Summed without rounding on the way, so that the order of the expressions cannot show.
            "mean_iou": math.fsum(iou_N) / len(iou_N) if len(iou_N) else 0.0,
            "precision": {str(at): precision_at(iou_N, at) for at in PRECISION_AT},
            "expressions": len(iou_N),
        }

    def by_skill(self) -> dict[str, dict[str, Any]]:
        """The figures of the expressions that carry each skill."""
        names = sorted({name for skills in self.skills for name in skills})
        return {
            name: self.subset(i for i, skills in enumerate(self.skills) if name in skills).figures() for name in names
        }

    def subset(self, positions: Iterable[int]) -> MaskCounts:
        """The counts of some expressions."""
        chosen = list(positions)
        return MaskCounts(
            [self.intersections[at] for at in chosen],
            [self.unions[at] for at in chosen],
            [self.skills[at] for at in chosen],
        )


def precision_at(iou_N: NDArray[np.float64], threshold: float) -> float:
    """Share of expressions whose IoU is higher than the threshold (Sec. IV: "higher than X"); 0 of none."""
    return float((iou_N > threshold).mean()) if len(iou_N) else 0.0


@dataclass(frozen=True)
class Scores:
    """What one evaluation found, at every threshold that was counted.

    Args:
        counts: counts at each threshold on the mask's probability.
        threshold: the one that the headline figures are taken at.
        about: facts for the report: dataset, split, protocol, pixels, images ...
    """

    counts: Mapping[float, MaskCounts]
    threshold: float
    about: Mapping[str, Any]

    @property
    def mean_iou(self) -> float:
        """Mean IoU at the headline threshold, in [0, 1]; 0 where nothing was counted."""
        return float(self.counts[self.threshold].figures()["mean_iou"])

    def to_dict(self) -> dict[str, Any]:
        """The figures at the headline threshold, by skill, and at every threshold; fractions in [0, 1]."""
        headline = self.counts[self.threshold]
        return {
            **headline.figures(),
            **self.about,
            "threshold": self.threshold,
            "by_skill": headline.by_skill(),
            "at": {str(threshold): counts.figures() for threshold, counts in sorted(self.counts.items())},
        }


def count_masks(
    predicted_NHW: NDArray[np.bool_],
    truth_NHW: NDArray[np.bool_],
    skills: Sequence[tuple[str, ...]],
    counts: MaskCounts,
) -> None:
    """Add N predicted masks against their truths to the counts."""
    intersection_N = np.count_nonzero(predicted_NHW & truth_NHW, axis=(1, 2))
    union_N = np.count_nonzero(predicted_NHW | truth_NHW, axis=(1, 2))
    for intersection, union, tags in zip(intersection_N.tolist(), union_N.tolist(), skills, strict=True):
        counts.add(intersection, union, tags)
