"""What is wrong with a mask: failures by kind, and the answers that need no words.

An answer is right if its IoU is over 0.5. Every other answer is a failure, of the first kind that fits:

- nothing: the mask is empty, or no annotated object has an IoU of 0.1 with it or contains half of it.
- part: at least three quarters of the mask lie in the referent, and less than half of the referent in the mask.
- several: the mask has at least half of the referent and at least half of another object.
- outline: no other annotated object agrees better with the mask than the referent.
- other of the kind, other kind, other object: the object that agrees best is another one. It is of the referent's
  category, of another one, or nobody knows the categories.

Where an expression names nothing, an empty mask is right and every other mask is called "names nothing".

Paper: Fig. 10 shows failures; the kinds are ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

HALF = 0.5
RIGHT = "right"
KINDS = {
    RIGHT: "IoU over 0.5",
    "outline": "the right object with a bad outline",
    "part": "only a part of the right object",
    "several": "the right object and another one as well",
    "other of the kind": "another object of the same kind",
    "other kind": "an object of another kind",
    "other object": "another object; the data do not say of which kind",
    "nothing": "no object in particular, or an empty mask",
    "names nothing": "a mask, although the expression names nothing in the image",
}
"""Every kind of answer with its meaning, in the order of reports."""
TOUCHED, INSIDE = 0.1, 0.75  # least IoU with an object, least share of a part in it
LARGEST, CENTRAL, ANY = "largest object", "most central object", "any object"
Objects = Sequence[tuple[NDArray[np.bool_], int | str]]
"""Masks (H, W) and categories of the objects of an image; an empty name is an unknown category."""
Item = TypeVar("Item")


def kind_of(mask_HW: NDArray[np.bool_], truth_HW: NDArray[np.bool_], objects: Objects) -> str:
    """The kind of an answer; see the top of this file.

    Args:
        mask_HW: predicted.
        truth_HW: of the referent; empty where the expression names nothing.
        objects: of the image, the referent among them.
    """
    if not truth_HW.any():
        return "names nothing" if mask_HW.any() else RIGHT
    own = iou(mask_HW, truth_HW)
    if own > HALF:
        return RIGHT
    objects = objects or [(truth_HW, "")]
    at = int(np.argmax([iou(truth_HW, object_HW) for object_HW, _ in objects]))
    others = [(iou(mask_HW, object_HW), object_HW, category) for object_HW, category in without(objects, at)]
    best = max(others, key=lambda other: other[0], default=(0.0, truth_HW, objects[at][1]))
    precision, recall = share(mask_HW, truth_HW), share(truth_HW, mask_HW)
    inside = max([precision, *(share(mask_HW, object_HW) for _, object_HW, _ in others)])
    if not mask_HW.any() or (max(own, best[0]) < TOUCHED and inside < HALF):
        return "nothing"
    if precision >= INSIDE and recall < HALF:
        return "part"
    if recall >= HALF and any(share(object_HW, mask_HW) >= HALF for _, object_HW, _ in others):
        return "several"
    if own >= best[0]:
        return "outline"
    if "" in (best[2], objects[at][1]):
        return "other object"
    return "other of the kind" if best[2] == objects[at][1] else "other kind"


def blind_answers(truth_HW: NDArray[np.bool_], objects: Objects) -> dict[str, tuple[float, float]]:
    """Answers that need no words: the largest object, the most central one, and any one, on average.

    They are given the outline, which a model has to find. Each has its IoU, and 1 or 0 for whether that is over 0.5.

    Args:
        truth_HW: of the referent.
        objects: all objects of the image, at least one.
    """
    found = [iou(truth_HW, object_HW) for object_HW, _ in objects]
    middle = np.array(truth_HW.shape) / 2
    away = [np.hypot(*(centre_of(object_HW) - middle)) for object_HW, _ in objects]
    right = [float(one > HALF) for one in found]
    largest, central = int(np.argmax([np.count_nonzero(object_HW) for object_HW, _ in objects])), int(np.argmin(away))
    chosen = {name: (found[at], right[at]) for name, at in ((LARGEST, largest), (CENTRAL, central))}
    return {**chosen, ANY: (sum(found) / len(found), sum(right) / len(right))}


def centre_of(mask_HW: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(2,): row and column of the middle of a mask's box; infinite where the mask is empty."""
    if not mask_HW.any():
        return np.full(2, np.inf)
    return np.array([(np.flatnonzero(mask_HW.any(axis=1 - axis))[[0, -1]].mean() + 0.5) for axis in range(2)])


def without(items: Sequence[Item], at: int) -> list[Item]:
    """All but one of them."""
    return [*items[:at], *items[at + 1 :]]


def share(part_HW: NDArray[np.bool_], whole_HW: NDArray[np.bool_]) -> float:
    """The share of one mask that lies in another; 0 of an empty one."""
    return float(np.count_nonzero(part_HW & whole_HW)) / max(1, int(np.count_nonzero(part_HW)))


def iou(one_HW: NDArray[np.bool_], other_HW: NDArray[np.bool_]) -> float:
    """Intersection over union; 0 of two empty masks."""
    return float(np.count_nonzero(one_HW & other_HW)) / max(1, int(np.count_nonzero(one_HW | other_HW)))
