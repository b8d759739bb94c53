"""What a check of a data set tells: of each split what it holds, and what is missing or broken in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import combinations
from typing import Any, Literal

import numpy as np

from m3att.data.refer.splits import Counts

Agreement = Literal["agrees", "differs", "unpublished", "absent"]

WORD_LIMITS = (15, 20)  # the paper's, for short and for long expressions
PERCENTILES = (50, 90, 95, 99, 100)
_NAMED = 5  # faults of a kind that are named; the others are only counted


@dataclass(frozen=True, slots=True)
class Faults:
    """A kind of fault: how many there are, and the first of them by name."""

    count: int
    first: tuple[str, ...]


NO_FAULTS = Faults(0, ())


@dataclass(frozen=True, slots=True)
class SplitReport:
    """What one split holds.

    Args:
        refs: number of referents.
        sentences: number of expressions.
        images: number of images that carry one.
        words: number of distinct words.
        longest: words of the longest expression.
        over_limit: expressions longer than the word limit, which training and use cut.
        published: published numbers of referents and sentences.
        counts: whether those agree with what is here; ``absent`` where the file has nothing of this split.
        missing_images: images whose photo is not at hand.
        missing_annotations: referents whose annotation does not exist.
        wordless: sentences that hold no word, which neither training nor scoring can read.
        lengths: words of an expression by percentile: half of all have at most ``lengths["50"]``.
        over: expressions longer than 15 and than 20 words.
        several_targets: expressions that name several objects.
        no_target: expressions that name nothing in their image.
        boxed: expressions that name what has a box and no mask, as far as the files say that without reading images.
        unnamed: objects of one's own data that no expression names; only the category loss learns from them.
        silent: referents without an expression, which are left out.
        known_missing: of the missing images those that nobody has.
        misnamed_images: images without a file name, or with one that leads out of the folder.
        unreadable_masks: annotations of referents whose mask cannot be drawn.
        unreadable_photos: photos that are empty; where it was asked, all that cannot be read to the end or have another
            size than stated.
        left_out: entries of one's own data that were left out when their file was opened.
        odd: referents and sentences that cannot be read.
    """

    refs: int
    sentences: int
    images: int
    words: int
    longest: int
    over_limit: int
    published: Counts
    counts: Agreement
    missing_images: Faults
    missing_annotations: Faults
    wordless: Faults
    lengths: dict[str, int] = field(default_factory=dict)
    over: dict[str, int] = field(default_factory=dict)
    several_targets: int = 0
    no_target: int = 0
    boxed: int = 0
    unnamed: int = 0
    silent: int = 0
    known_missing: int = 0
    misnamed_images: Faults = NO_FAULTS
    unreadable_masks: Faults = NO_FAULTS
    unreadable_photos: Faults = NO_FAULTS
    left_out: Faults = NO_FAULTS
    odd: Faults = NO_FAULTS


@dataclass(frozen=True, slots=True)
class DatasetReport:
    """The report of ``m3att data check`` about a data set.

    Args:
        dataset: name of the data set.
        split_by: who made the splits.
        word_limit: words of an expression that are kept.
        pixels: ``photos`` where any photo is at hand, else ``layout`` where every annotation of a published data set
            has a box, else ``none``.
        image_root: where the photos are, or were looked for first.
        splits: a report for each legal split.
        unknown_splits: splits that the file names and the field does not know.
        annotations: number of annotated objects and regions.
        crowds: how many of them are crowd regions.
        without_segmentation: how many have neither polygons nor run lengths.
        broken_segmentations: annotations with an empty segmentation or a polygon of fewer than three points.
        repeated_ids: annotation ids that stand more than once.
        shared_images: number of photos that two splits share, under whatever names or ids, by "first/second"; empty
            where no split leaks.
        annotation_root: the folder of the annotations.
        shared_by_design: whether those who made the splits divided objects and not images.
        without_image: annotations of images that are not listed.
        repeated_images: image ids that stand more than once, with different names or sizes.
        odd_entries: images, annotations and categories without an id.
        held_out: images that a training validates on, where the data state no split; none where it cannot divide them.
        notes: oddities of one's own files through which no expression is lost; they are no faults.
    """

    dataset: str
    split_by: str
    word_limit: int
    pixels: Literal["photos", "layout", "none"]
    image_root: str
    splits: dict[str, SplitReport]
    unknown_splits: tuple[str, ...]
    annotations: int
    crowds: int
    without_segmentation: int
    broken_segmentations: Faults
    repeated_ids: Faults
    shared_images: dict[str, int]
    annotation_root: str = ""
    shared_by_design: bool = False
    without_image: int = 0
    repeated_images: Faults = NO_FAULTS
    odd_entries: Faults = NO_FAULTS
    held_out: int = 0
    notes: Faults = NO_FAULTS

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values, ready for JSON."""
        return asdict(self)

    @property
    def is_sound(self) -> bool:
        """Whether training and scoring can rely on it: counts as published, nothing missing, no leak."""
        splits = self.splits.values()
        return (
            self.pixels != "none"
            and not self.unknown_splits
            and (self.shared_by_design or not self.shared_images)
            and self.repeated_ids.count == self.repeated_images.count == self.odd_entries.count == 0
            and any(split.refs for split in splits)
            and all(split.counts != "differs" for split in splits)
            and all(split.missing_annotations.count == 0 and split.wordless.count == 0 for split in splits)
            and all(split.misnamed_images.count == split.odd.count == split.left_out.count == 0 for split in splits)
            and (
                self.pixels == "layout"
                or (
                    self.broken_segmentations.count == 0
                    and all(split.missing_images.count == split.known_missing for split in splits)
                    and all(split.unreadable_masks.count == split.unreadable_photos.count == 0 for split in splits)
                )
            )
        )


def shared_photos(photos: Mapping[str, Sequence[tuple[str, ...]]]) -> dict[str, int]:
    """Photos that two splits share; not those of two test splits, which teach a network nothing (RefCLEF's overlap).

    Args:
        photos: for each split, what is known of the photo of each image: its id, its name, its file. Two images with
            one of these in common are of one photo.

    Returns:
        Counts by "first/second", without pairs that share none.
    """
    pairs = [pair for pair in combinations(photos, 2) if not all(split.startswith("test") for split in pair)]
    known = {split: {mark for marks in own for mark in marks} for split, own in photos.items()}
    shared = {
        f"{one}/{other}": len({marks[-1] for marks in photos[one] if not known[other].isdisjoint(marks)})
        for one, other in pairs
    }
    return {pair: count for pair, count in shared.items() if count}


def percentiles(lengths: Sequence[int]) -> dict[str, int]:
    """How long expressions are.

    Args:
        lengths: words of each.

    Returns:
        Words by percentile: half of all have at most those of "50".
    """
    if not lengths:
        return {}
    values = np.percentile(lengths, PERCENTILES, method="higher")
    return {str(percentile): int(value) for percentile, value in zip(PERCENTILES, values, strict=True)}


def listed_faults(names: Sequence[str]) -> Faults:
    """A kind of fault of these names: all are counted, and the first are kept.

    Args:
        names: what is broken or missing.
    """
    return Faults(len(names), tuple(names[:_NAMED]))
