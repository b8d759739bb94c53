"""What each batch added to the scores, and the scores of several processes put together in the order of the batches."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from m3att.data.faults import Fault
from m3att.engine.distributed import Processes
from m3att.engine.scores import Scores
from m3att.metrics import MaskCounts


class Part(NamedTuple):
    """What one batch added to the scores.

    Args:
        expressions: that were scored by masks.
        boxes: that were scored by boxes.
        cut: see Batch.
        partly_unknown: see Batch.
        unknown: see Batch.
        faults: what could not be read.
    """

    expressions: int
    boxes: int
    cut: int
    partly_unknown: int
    unknown: int
    faults: tuple[Fault, ...]


def joined_scores(scores: Scores, parts: list[Part], processes: Processes) -> tuple[Scores, list[Part]]:
    """The scores of all processes, in the order in which one process would have found them.

    Args:
        scores: of this process, which scored every ``processes.count``-th batch.
        parts: of its batches.
        processes: that score together.
    """
    found = processes.joined([(scores, parts)])
    every = replace(scores, counts={protocol: MaskCounts() for protocol in scores.counts}, expressions=[], boxes=[])
    ordered: list[Part] = []
    at = [(0, 0)] * len(found)  # expressions and boxes of each process so far
    for number in range(sum(len(own) for _, own in found)):
        rank = number % len(found)
        one, own = found[rank]
        part, (first, first_box) = own[number // len(found)], at[rank]
        at[rank] = first + part.expressions, first_box + part.boxes
        for protocol, counts in every.counts.items():
            counts.extend(one.counts[protocol].subset(range(first, at[rank][0])))
        every.expressions.extend(one.expressions[first : at[rank][0]])
        every.boxes.extend(one.boxes[first_box : at[rank][1]])
        ordered.append(part)
    return every, ordered
