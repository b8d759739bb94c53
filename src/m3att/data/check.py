"""Compares a data set on disk with what was published, and finds what is missing or broken in it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

from m3att.data.masks import is_polygon
from m3att.data.records import collector_paused, read_instances, read_refs, sentence_text
from m3att.data.refer import image_folder
from m3att.data.splits import Counts, legal_splits, published_counts, word_limit
from m3att.data.text import WORD

Agreement = Literal["agrees", "differs", "unpublished", "absent"]

_NAMED = 5  # how many of a kind of fault are named; the rest are counted


@dataclass(frozen=True, slots=True)
class Faults:
    """A kind of fault: how many there are, and the first of them by name."""

    count: int
    first: tuple[str, ...]


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


@dataclass(frozen=True, slots=True)
class DatasetReport:
    """What ``m3att data check`` says about a data set.

    Args:
        dataset: name of the data set.
        split_by: who made the splits.
        word_limit: words of an expression that are kept.
        pixels: ``photos`` where any photo is at hand, else ``layout`` where every annotation has a box, else ``none``.
        image_root: where photos were looked for.
        splits: a report for each legal split.
        unknown_splits: splits that the file names and the field does not know.
        annotations: number of annotated objects and regions.
        crowds: how many of them are crowd regions.
        without_segmentation: how many have neither polygons nor run lengths.
        broken_segmentations: annotations with an empty segmentation or a polygon of fewer than three points.
        repeated_ids: annotation ids that stand more than once.
        shared_images: number of images that two splits share, by "first/second"; empty where no split leaks.
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
            and not self.shared_images
            and self.repeated_ids.count == 0
            and all(split.counts != "differs" for split in splits)
            and all(split.missing_annotations.count == 0 and split.wordless.count == 0 for split in splits)
            and (
                self.pixels == "layout"
                or (self.broken_segmentations.count == 0 and all(split.missing_images.count == 0 for split in splits))
            )
        )


def check_dataset(root: Path | str, dataset: str, split_by: str, image_root: Path | str | None = None) -> DatasetReport:
    """Reads a data set in the REFER layout once and reports on every legal split of it.

    Args:
        root: folder that holds ``<dataset>/`` and ``images/``.
        dataset: name of the data set, as in ``splits.SPLITS``.
        split_by: who made the splits.
        image_root: folder of the images, where it is not the one of the REFER layout.

    Returns:
        The report; faults of single entries are counted in it and raise nothing.

    Raises:
        DataError: where data set or way of splitting is unknown, or a file is missing, unsafe or broken.
    """
    legal = legal_splits(dataset, split_by)
    folder = Path(root) / dataset
    images_at = Path(image_root) if image_root is not None else image_folder(Path(root), dataset)
    with collector_paused():
        refs = read_refs(folder / f"refs({split_by}).p")
        instances = read_instances(folder / "instances.json")
    annotations: list[dict[str, Any]] = instances["annotations"]
    image_of = {entry["id"]: entry["image_id"] for entry in annotations}
    names: dict[int, Any] = {entry["id"]: entry.get("file_name") for entry in instances["images"]}
    of_split: dict[str, list[dict[str, Any]]] = {split: [] for split in legal}
    unknown: dict[str, None] = {}
    for ref in refs:
        if ref["split"] in of_split:
            of_split[ref["split"]].append(ref)
        else:
            unknown[ref["split"]] = None
    image_ids = {split: sorted({ref["image_id"] for ref in of_split[split]}) for split in legal}
    at_hand = {
        image_id: isinstance(names.get(image_id), str) and (images_at / names[image_id]).is_file()
        for split in legal
        for image_id in image_ids[split]
    }
    reports = {
        split: _check_split(dataset, split_by, split, of_split[split], image_of, names, at_hand) for split in legal
    }
    occurrences = Counter(entry["id"] for entry in annotations)
    return DatasetReport(
        dataset=dataset,
        split_by=split_by,
        word_limit=word_limit(dataset),
        pixels=_pixels(at_hand, instances),
        image_root=str(images_at),
        splits=reports,
        unknown_splits=tuple(unknown),
        annotations=len(annotations),
        crowds=sum(bool(entry.get("iscrowd")) for entry in annotations),
        without_segmentation=sum(entry.get("segmentation") is None for entry in annotations),
        broken_segmentations=_faults(
            [str(entry["id"]) for entry in annotations if _is_broken(entry.get("segmentation"))]
        ),
        repeated_ids=_faults([str(id_) for id_, count in occurrences.items() if count > 1]),
        shared_images=_shared_images(image_ids),
    )


def _check_split(
    dataset: str,
    split_by: str,
    split: str,
    refs: Sequence[Mapping[str, Any]],
    image_of: Mapping[int, int],
    names: Mapping[int, Any],
    at_hand: Mapping[int, bool],
) -> SplitReport:
    lengths: list[int] = []
    words: set[str] = set()
    wordless: list[str] = []
    for ref in refs:
        for sentence in ref["sentences"]:
            parts = re.findall(WORD, sentence_text(sentence).lower())
            lengths.append(len(parts))
            words.update(parts)
            if not parts:
                wordless.append(f"sentence {sentence['sent_id']}")
    published = published_counts(dataset, split_by, split)
    image_ids = sorted({ref["image_id"] for ref in refs})
    limit = word_limit(dataset)
    return SplitReport(
        refs=len(refs),
        sentences=len(lengths),
        images=len(image_ids),
        words=len(words),
        longest=max(lengths, default=0),
        over_limit=sum(length > limit for length in lengths),
        published=published,
        counts=_agreement(published, len(refs), len(lengths)),
        missing_images=_faults([str(names.get(i) or f"image {i}") for i in image_ids if not at_hand[i]]),
        missing_annotations=_faults(
            [f"annotation {ref['ann_id']}" for ref in refs if image_of.get(ref["ann_id"]) != ref["image_id"]]
        ),
        wordless=_faults(wordless),
    )


def _agreement(published: Counts, refs: int, sentences: int) -> Agreement:
    if refs == 0:
        return "absent"
    pairs = [(published.refs, refs), (published.sentences, sentences)]
    known = [(expected, found) for expected, found in pairs if expected is not None]
    if not known:
        return "unpublished"
    return "agrees" if all(expected == found for expected, found in known) else "differs"


def _pixels(at_hand: Mapping[int, bool], instances: Mapping[str, Any]) -> Literal["photos", "layout", "none"]:
    if any(at_hand.values()):
        return "photos"
    has_boxes = all(isinstance(entry.get("bbox"), list) for entry in instances["annotations"])
    has_sizes = all(entry.get("height") and entry.get("width") for entry in instances["images"])
    return "layout" if has_boxes and has_sizes else "none"


def _is_broken(segmentation: Any) -> bool:
    """Whether a segmentation is there and says nothing, or has a part that says nothing."""
    if segmentation is None:
        return False
    parts = [segmentation] if isinstance(segmentation, dict) else segmentation
    if not isinstance(parts, list) or not parts:
        return True
    return not all(
        bool(part.get("counts") and part.get("size")) if isinstance(part, dict) else is_polygon(part) for part in parts
    )


def _shared_images(image_ids: Mapping[str, Sequence[int]]) -> dict[str, int]:
    shared = {
        f"{first}/{second}": len(set(image_ids[first]) & set(image_ids[second]))
        for first, second in combinations(image_ids, 2)
    }
    return {pair: count for pair, count in shared.items() if count}


def _faults(names: Sequence[str]) -> Faults:
    return Faults(len(names), tuple(names[:_NAMED]))
