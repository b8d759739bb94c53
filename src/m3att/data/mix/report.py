"""What a mixture of data sets holds, and the proof that it is clean: as values and as a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Tally:
    """How much there is of something."""

    refs: int = 0
    sentences: int = 0
    images: int = 0


@dataclass(frozen=True, slots=True)
class PartReport:
    """What became of one data set.

    Args:
        name: of the data set.
        trains: whether it was mixed in.
        held_out: images of each split that is not train.
        absent: splits that its file should have and has not: their images are unknown.
        train_before: its training split.
        train_after: what of it is in the mixture.
        val_before: its validation split.
        val_after: what of it is in the mixture's.
        removed_for: training images that were removed, by the split that holds them; one may stand at several.
        left_out: safe referents that have no annotation of their own, a line each.
    """

    name: str
    trains: bool
    held_out: dict[str, int]
    absent: tuple[str, ...]
    train_before: Tally
    train_after: Tally
    val_before: Tally
    val_after: Tally
    removed_for: dict[str, int]
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MixReport:
    """What a mixture holds, and the proof that it is clean.

    Args:
        parts: one a data set.
        train: the mixture's training split, as read back from what was written.
        val: its validation split, likewise.
        train_leaks: training images, read back, that any data set holds out; none, or nothing would have been written.
        val_leaks: validation images, read back, that any data set tests on.
    """

    parts: tuple[PartReport, ...]
    train: Tally
    val: Tally
    train_leaks: int
    val_leaks: int

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values."""
        return asdict(self)

    def to_markdown(self) -> str:
        """The report as a page."""
        lines = [
            "# What this mixture holds",
            "",
            "| data set | train before: referents / sentences / images | after | val before | after |",
            "|---|---|---|---|---|",
        ]
        for part in self.parts:
            tallies = (part.train_before, part.train_after, part.val_before, part.val_after)
            cells = " | ".join(tally_text(tally) for tally in tallies)
            lines.append(f"| {part.name}{'' if part.trains else ', held out only'} | {cells} |")
        lines += [
            f"| all, as read back | | {tally_text(self.train)} | | {tally_text(self.val)} |",
            "",
            "Training images that were removed, by the split that scores on them:",
            "",
        ]
        removed = [
            f"- {part.name}: {count:,} for {split}" for part in self.parts for split, count in part.removed_for.items()
        ]
        lines += removed or ["- none"]
        left_out = [f"- {reason}" for part in self.parts for reason in part.left_out]
        if left_out:
            lines += ["", "Left out, since an annotation is missing or stands twice:", "", *left_out]
        absent = [f"{part.name}: {', '.join(part.absent)}" for part in self.parts if part.absent]
        if absent:
            lines += ["", f"**Not proven** for splits that the files do not hold: {'; '.join(absent)}."]
        lines += [
            "",
            f"Leaks, counted on what was written and read back: {self.train_leaks} training images that any of these "
            f"data sets holds out, {self.val_leaks} validation images that any of them tests on.",
            "",
        ]
        return "\n".join(lines)


def tally_text(tally: Tally) -> str:
    """Referents, sentences and images."""
    return f"{tally.refs:,} / {tally.sentences:,} / {tally.images:,}"


def tally(refs: Sequence[Mapping[str, Any]]) -> Tally:
    """Counts referents, sentences and images."""
    return Tally(len(refs), sum(len(ref["sentences"]) for ref in refs), len({ref["image_id"] for ref in refs}))
