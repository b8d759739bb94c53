"""The result of one evaluation: counts under every protocol, and the figures computed from them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from m3att.calibration import reliability, told_apart
from m3att.data.faults import Fault
from m3att.metrics import BoxScore, Expression, MaskCounts, box_figures, figures
from m3att.protocols import Protocol


@dataclass(frozen=True)
class Scores:
    """What one evaluation found.

    Args:
        counts: under every protocol that was counted; `original` may stand there at several thresholds.
        headline: the protocol whose figures lead.
        beside: those that reports put side by side.
        expressions: those that were scored by masks, in the order of all counts.
        about: facts for the report: dataset, split, pixels ...
        cut: expressions that were cut at the word limit.
        left_out: what could not be read, and is in no figure.
        partly_unknown: expressions that hold words unknown to the network beside others.
        unknown: expressions that hold no word that the network knows.
        boxes: those whose referent has a box and no mask, in no count, at the threshold of `shown`.
    """

    counts: dict[Protocol, MaskCounts]
    headline: Protocol
    beside: tuple[Protocol, ...]
    expressions: list[Expression]
    about: Mapping[str, Any]
    cut: int = 0
    left_out: tuple[Fault, ...] = ()
    partly_unknown: int = 0
    unknown: int = 0
    boxes: list[BoxScore] = field(default_factory=list)

    @property
    def mean_iou(self) -> float:
        """Mean IoU of the headline, in [0, 1]; 0 where nothing was counted."""
        return float(self.figures()["mean_iou"])

    @property
    def agreement(self) -> float:
        """What a training chooses its best model by: mean IoU of masks, and of boxes where there is nothing else."""
        outlined, boxed = self.figures(), box_figures(self.boxes)
        total = outlined["expressions"] + boxed["expressions"]
        weighed = (outlined["expressions"], outlined["mean_iou"]), (boxed["expressions"], boxed["mean_box_iou"])
        return float(sum(count * mean for count, mean in weighed) / total) if self.boxes else self.mean_iou

    def validation(self, name: str = "val") -> dict[str, float]:
        """The figures that a training logs, by name; those of masks or of boxes only where there are some.

        Args:
            name: what their names begin with.
        """
        found: dict[str, float] = {}
        if self.expressions or not self.boxes:
            figures = self.figures()
            found = {f"{name}/mean_iou": figures["mean_iou"], f"{name}/overall_iou": figures["overall_iou"]}
            found |= {f"{name}/precision_{at}": value for at, value in figures["precision"].items()}
        if self.boxes:
            found |= {
                f"{name}/{kind}": value for kind, value in box_figures(self.boxes).items() if kind != "expressions"
            }
        return found

    @property
    def shown(self) -> Protocol:
        """Protocol `original` at the threshold of the settings, which also makes the users' masks; always reported."""
        return next(protocol for protocol in self.beside if protocol.name == "original")

    def iou_N(self, protocol: Protocol) -> NDArray[np.float64]:
        """(N,), IoU of each expression under one protocol."""
        return self.counts[protocol].iou_N(protocol, self.expressions)

    def figures(self, protocol: Protocol | None = None) -> dict[str, Any]:
        """The figures of one protocol, or of the headline; see `figures`."""
        protocol = protocol or self.headline
        return figures(protocol, self.counts[protocol], self.expressions)

    def by_skill(self) -> dict[str, dict[str, Any]]:
        """The headline's figures of the expressions that carry each skill."""
        counts, found = self.counts[self.headline], {}
        for name, positions in self._skills(self.expressions).items():
            carrying = [self.expressions[at] for at in positions]
            found[name] = figures(self.headline, counts.subset(positions), carrying)
        return found

    def scored(self) -> tuple[list[int], NDArray[np.float64], NDArray[np.float64]]:
        """The masks that have a score: those that a network made and that are not empty.

        Returns:
            Their positions among the expressions, their scores (M,), and their IoU (M,) under `shown`.
        """
        scores = [one.score or 0.0 for one in self.expressions]
        positions = [at for at, score in enumerate(scores) if score > 0]  # that of an empty mask is 0
        return positions, np.array(scores)[positions], self.iou_N(self.shown)[positions]

    def reliability(self) -> dict[str, Any] | None:
        """How well the scores agree with the IoU (`calibration.reliability`); None where there is no score.

        If some expressions name nothing, ``no_target`` says how many of them got a mask, their mean score, the mean
        score of the others, and how often one of the others scores higher (AUROC).
        """
        positions, score_N, iou_N = self.scored()
        if not positions:
            return None
        found = reliability(score_N, iou_N)
        target_N = np.array([self.expressions[at].has_target for at in positions])
        with_N, without_N = score_N[target_N], score_N[~target_N]
        if len(with_N) and len(without_N):
            found["no_target"] = {
                "expressions": len(without_N),
                "score": math.fsum(without_N) / len(without_N),
                "score_of_others": math.fsum(with_N) / len(with_N),
                "told_apart": told_apart(with_N, without_N),
            }
        return found

    def merge(self, other: Scores) -> Scores:
        """The scores of both shards together, equal to the last bit to one evaluation of everything.

        Raises:
            ValueError: where the shards were not scored alike.
        """
        alike = (self.headline, self.beside, dict(self.about), set(self.counts))
        if alike != (other.headline, other.beside, dict(other.about), set(other.counts)):
            raise ValueError("only shards of one evaluation can be merged: these differ in protocols or data")
        counts = {protocol: MaskCounts() for protocol in self.counts}
        for part in (self, other):
            for protocol, counted in part.counts.items():
                counts[protocol].extend(counted)
        expressions = [*self.expressions, *other.expressions]
        # Every shard has the faults that were found when the files were opened.
        left_out = self.left_out + tuple(fault for fault in other.left_out if fault.image >= 0)
        return Scores(
            counts,
            self.headline,
            self.beside,
            expressions,
            self.about,
            cut=self.cut + other.cut,
            left_out=left_out,
            partly_unknown=self.partly_unknown + other.partly_unknown,
            unknown=self.unknown + other.unknown,
            boxes=[*self.boxes, *other.boxes],
        )

    def to_dict(self) -> dict[str, Any]:
        """The figures of the first protocol, also by skill, of `original` at each threshold, and of all protocols.

        Expressions whose referents have a box and no mask stand apart, in ``boxes``, which is there if there are some.
        """
        original = {counted.threshold: counted for counted in self.counts if counted.name == "original"}
        trust = self.reliability()
        return {
            **self.figures(),
            **self.about,
            "images": len({one.image for one in self.expressions} | {box.image for box in self.boxes}),
            "cut_expressions": self.cut,
            "unknown_words": {"expressions": self.partly_unknown + self.unknown, "without_known_word": self.unknown},
            "left_out": {
                "expressions": sum(fault.expressions for fault in self.left_out),
                "reasons": list(dict.fromkeys(fault.reason for fault in self.left_out)),
            },
            "protocol": self.headline.name,
            "threshold": self.headline.threshold,
            "by_skill": self.by_skill(),
            **({} if trust is None else {"reliability": trust}),
            **({"boxes": self._box_figures()} if self.boxes else {}),
            "at": {str(threshold): self.figures(original[threshold]) for threshold in sorted(original)},
            "protocols": {
                protocol.name: {
                    **self.figures(protocol),
                    "threshold": protocol.threshold,
                    "headline": protocol.headline,
                }
                for protocol in self.beside
            },
        }

    def _box_figures(self) -> dict[str, Any]:
        by_skill = {
            name: box_figures([self.boxes[at] for at in positions])
            for name, positions in self._skills(self.boxes).items()
        }
        return {**box_figures(self.boxes), "threshold": self.shown.threshold, "by_skill": by_skill}

    @staticmethod
    def _skills(scored: Sequence[Expression | BoxScore]) -> dict[str, list[int]]:
        positions: dict[str, list[int]] = {}
        for at, expression in enumerate(scored):
            for name in expression.skills:
                positions.setdefault(name, []).append(at)
        return dict(sorted(positions.items()))
