"""Every scored expression with its figures, the kind of its answer, and what no words would have answered."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from m3att.data.masks import draw
from m3att.data.sample import Sample
from m3att.data.source import Source
from m3att.engine.distributed import Processes
from m3att.engine.scores import Scores
from m3att.files import replace_file
from m3att.report.failures import Objects, blind_answers, kind_of
from m3att.report.skills import skills_of


class Answer(NamedTuple):
    """One answer of a model.

    Args:
        image: number of the image in its source.
        position: of the expression among those of its image.
        image_id: of the data set.
        expression_id: of the data set.
        expression: its text.
        skills: that it asks for: those of the data set, else by its words.
        intersection: pixels that mask and truth share, at the image's own size.
        union: pixels that either has.
        iou: in [0, 1].
        score: that the model gave.
        kind: one of `failures.KINDS`.
        blind: of `failures.blind_answers`; empty where not all objects of the image are known.
    """

    image: int
    position: int
    image_id: int
    expression_id: int
    expression: str
    skills: tuple[str, ...]
    intersection: int
    union: int
    iou: float
    score: float
    kind: str
    blind: dict[str, tuple[float, float]]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a line of JSON."""
        return {**self._asdict(), "skills": list(self.skills)}


class Seen(NamedTuple):
    """What is known of an answer before the scores are whole; see Answer."""

    image: int
    position: int
    image_id: int
    expression_id: int
    expression: str
    skills: tuple[str, ...]
    kind: str
    blind: dict[str, tuple[float, float]]


@dataclass
class AnswerLog:
    """Sorts the masks of an evaluation while they are there: give `watch` to `engine.evaluate`.

    Args:
        source: that is scored.
        seen: of each expression so far.
    """

    source: Source
    seen: list[Seen] = field(default_factory=list)

    def watch(self, image: int, sample: Sample, positions: Sequence[int], masks_NHW: NDArray[np.bool_]) -> None:
        """Sort the masks of one image. See `engine.evaluate.Watch`."""
        truth_MHW = sample.masks_MHW
        objects: Objects = [(draw(mask), category) for mask, category in self.source.read_objects(image)]
        known = bool(objects) and self.source.has_every_object
        objects = objects or [(truth_HW, "") for truth_HW in truth_MHW if truth_HW.any()]
        every = zip(masks_NHW, sample.mask_index_N, positions, strict=True)
        for number, (mask_HW, row, position) in enumerate(every):
            text = sample.expressions[number]
            self.seen.append(
                Seen(
                    image,
                    position,
                    sample.image_id,
                    sample.expression_ids[number],
                    text,
                    sample.skills[number] or skills_of(text),
                    kind_of(mask_HW, truth_MHW[row], objects),
                    blind_answers(truth_MHW[row], objects) if known else {},
                )
            )

    def join(self, processes: Processes) -> None:
        """Take in what other processes have watched, in the order in which one process would have watched it."""
        if processes.count > 1:
            self.seen = sorted(processes.joined(self.seen), key=lambda seen: (seen.image, seen.position))

    def answers(self, scores: Scores) -> list[Answer]:
        """The answers with their figures under protocol `original` at the threshold of the settings.

        Args:
            scores: of the evaluation that this log has watched.

        Raises:
            ValueError: where it has watched another one.
        """
        if len(self.seen) != len(scores.expressions):
            raise ValueError(f"{len(self.seen)} answers were watched and {len(scores.expressions)} scored")
        counts = scores.counts[scores.shown]
        figures = zip(
            counts.intersections, counts.unions, scores.iou_N(scores.shown).tolist(), scores.expressions, strict=True
        )
        return [
            Answer(*seen[:6], intersection, union, iou, expression.score or 0.0, seen.kind, seen.blind)
            for seen, (intersection, union, iou, expression) in zip(self.seen, figures, strict=True)
        ]


def write_answers(path: Path, answers: Sequence[Answer]) -> None:
    """Write a line of JSON for each answer, in one step; the folder is made where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, "".join(json.dumps(answer.to_dict()) + "\n" for answer in answers).encode())
