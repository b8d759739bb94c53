"""The usual figures, computed from whole-number counts. So no order, batch size or sharding can change them.

Overall IoU divides the sum of intersections by the sum of unions. Mean IoU averages the IoU of the expressions. Papers
often say only "IoU", so every report here gives both. On gRefCOCO they are called cIoU and gIoU.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from m3att.calibration import Evidence
from m3att.protocols import Protocol


class Expression(NamedTuple):
    """What the figures of every protocol need to know about a scored expression.

    Args:
        image: number of its image in the source.
        skills: tags by which reports are split.
        first: whether it is the first sentence of its referent.
        has_target: whether it names anything. False if the true mask is empty at the image's own size.
        score: of its mask, as users get it; None where no network made the mask.
        evidence: what the probability map says about the mask, if a calibration is to be fitted; None where the mask is
            empty, or no network made it.
    """

    image: int
    skills: tuple[str, ...] = ()
    first: bool = True
    has_target: bool = True
    score: float | None = None
    evidence: Evidence | None = None


class BoxScore(NamedTuple):
    """A scored expression whose referent has a box and no mask; it is in no figure of masks.

    Args:
        image: number of its image in the source.
        position: of the expression among those of its image.
        skills: tags by which reports are split.
        intersection: pixels that the box around the predicted mask and the true box share.
        union: pixels that either of them has.
        pointed: whether the likeliest pixel lies in the true box.
    """

    image: int
    position: int
    skills: tuple[str, ...]
    intersection: int
    union: int
    pointed: bool

    @property
    def box_iou(self) -> float:
        """IoU of the two boxes."""
        return self.intersection / self.union


def whole_numbers() -> array[int]:
    """An empty column of counts."""
    return array("q")


@dataclass
class MaskCounts:
    """Pixels of each scored expression, under one protocol, in the order of the expressions.

    Args:
        intersections: pixels that prediction and truth share.
        unions: pixels that prediction or truth has.
        predicted: pixels of the prediction.
    """

    intersections: array[int] = field(default_factory=whole_numbers)
    unions: array[int] = field(default_factory=whole_numbers)
    predicted: array[int] = field(default_factory=whole_numbers)

    def add(self, intersection: int, predicted: int, truth: int, least_pixels: int = 1) -> None:
        """Count one expression by the areas of both masks; a prediction under ``least_pixels`` counts as empty.

        Args:
            intersection: pixels that both masks have.
            predicted: pixels of the predicted mask.
            truth: pixels of the true mask.
            least_pixels: a predicted mask of fewer counts as empty.
        """
        if predicted < least_pixels:
            intersection = predicted = 0
        self.intersections.append(intersection)
        self.unions.append(predicted + truth - intersection)
        self.predicted.append(predicted)

    def extend(self, other: MaskCounts) -> None:
        """Append the counts of more expressions."""
        self.intersections.extend(other.intersections)
        self.unions.extend(other.unions)
        self.predicted.extend(other.predicted)

    def __len__(self) -> int:
        return len(self.unions)

    def iou_N(self, protocol: Protocol, expressions: Sequence[Expression]) -> NDArray[np.float64]:
        """IoU of each expression, (N,), as the protocol divides; the protocol also says what two empty masks get."""
        intersection_N = np.asarray(self.intersections, dtype=np.float64)
        union_N = np.asarray(self.unions, dtype=np.float64)
        more_intersection, more_union = protocol.added
        # A small target may have no pixel in a smaller frame. It still exists, so an empty mask is wrong for it.
        empty_N = np.array([0.0 if expression.has_target else protocol.empty_iou for expression in expressions])
        ratio_N = np.divide(
            intersection_N + more_intersection,
            union_N + more_union,
            out=np.zeros(len(union_N)),
            where=union_N > 0,
        )
        return np.where(union_N > 0, ratio_N, empty_N.reshape(union_N.shape))

    def subset(self, positions: Sequence[int]) -> MaskCounts:
        """The counts of some expressions."""
        columns = (self.intersections, self.unions, self.predicted)
        return MaskCounts(*(array("q", [column[at] for at in positions]) for column in columns))


def figures(protocol: Protocol, counts: MaskCounts, expressions: Sequence[Expression]) -> dict[str, Any]:
    """The figures of one protocol.

    Args:
        protocol: decides which expressions count, and how.
        counts: made under this protocol.
        expressions: one for each entry of the counts.

    Returns:
        overall_iou, mean_iou and precision as shares in [0, 1], and expressions, their number. All are zero if nothing
        was counted. If some expressions have no target, there are three more: no_target_expressions, their number;
        no_target_accuracy (N-acc.), the share of them with an empty mask; target_accuracy (T-acc.), the share of the
        others with a mask that is not empty.
    """
    if protocol.sentences == "first":
        positions = [at for at, expression in enumerate(expressions) if expression.first]
        counts, expressions = counts.subset(positions), [expressions[at] for at in positions]
    iou_N = counts.iou_N(protocol, expressions)
    target_N = np.array([expression.has_target for expression in expressions], dtype=bool)
    ranked_N = iou_N[target_N] if protocol.precision_of == "targets" else iou_N
    total = sum(counts.unions)
    found: dict[str, Any] = {
        "overall_iou": sum(counts.intersections) / total if total else 0.0,
        # fsum rounds only once, so the order of the expressions does not matter.
        "mean_iou": math.fsum(iou_N) / len(iou_N) if len(iou_N) else 0.0,
        "precision": {f"{at:.1f}": precision_at(ranked_N, at, protocol.at_least) for at in protocol.precision_at},
        "expressions": len(iou_N),
    }
    if not target_N.all():
        something_N = np.asarray(counts.predicted) > 0
        found |= {
            "no_target_expressions": int(np.count_nonzero(~target_N)),
            "no_target_accuracy": share(~something_N[~target_N]),
            "target_accuracy": share(something_N[target_N]),
        }
    return found


BOX_IOU_OVER = 0.5


def box_figures(boxes: Sequence[BoxScore]) -> dict[str, Any]:
    """The figures of expressions whose referents have a box and no mask.

    Args:
        boxes: one for each expression.

    Returns:
        mean_box_iou; box_iou_over_0.5, the share of expressions with a box IoU over 0.5; pointing_accuracy, the share
        whose likeliest pixel lies in the box, all in [0, 1]; and expressions, their number. All are zero if there are
        none.
    """
    iou_N = np.array([box.box_iou for box in boxes], dtype=np.float64)
    return {
        "mean_box_iou": math.fsum(iou_N) / len(iou_N) if len(iou_N) else 0.0,
        f"box_iou_over_{BOX_IOU_OVER}": precision_at(iou_N, BOX_IOU_OVER),
        "pointing_accuracy": share(np.array([box.pointed for box in boxes], dtype=bool)),
        "expressions": len(boxes),
    }


def precision_at(iou_N: NDArray[np.float64], threshold: float, at_least: bool = False) -> float:
    """Share of expressions whose IoU is higher than the threshold (Sec. IV: "higher than X"), or at least that.

    Args:
        iou_N: IoU of each expression.
        threshold: X of Precision@X.
        at_least: an IoU of X itself counts too.
    """
    return share(iou_N >= threshold if at_least else iou_N > threshold)


def share(true_N: NDArray[np.bool_]) -> float:
    """The share of values that are true; 0 if there are none."""
    return int(np.count_nonzero(true_N)) / len(true_N) if len(true_N) else 0.0


def count_masks(predicted_NHW: NDArray[np.bool_], truth_NHW: NDArray[np.bool_], least_pixels: int = 1) -> MaskCounts:
    """The counts of N predicted masks and their true masks, all of the same size.

    Args:
        predicted_NHW: bool.
        truth_NHW: bool, of the same size.
        least_pixels: a predicted mask of fewer counts as empty.
    """
    if predicted_NHW.shape != truth_NHW.shape:
        raise ValueError(f"masks of shape {predicted_NHW.shape} and true masks of shape {truth_NHW.shape}")
    counts = MaskCounts()
    # Mask by mask: NumPy counts a whole array many times faster than along axes.
    for predicted_HW, truth_HW in zip(predicted_NHW, truth_NHW, strict=True):
        shared, predicted, truth = (
            int(np.count_nonzero(mask)) for mask in (predicted_HW & truth_HW, predicted_HW, truth_HW)
        )
        counts.add(shared, predicted, truth, least_pixels)
    return counts
