"""Compares a data set on disk with what was published, and finds what is missing or broken in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from m3att.data.photos import PhotoFolder
from m3att.data.refer.phrasecut import phrase_file
from m3att.data.refer.places import find_photos, usual_photos
from m3att.data.refer.readable import unreadable_masks, unreadable_photos
from m3att.data.refer.splits import (
    KNOWN_MISSING,
    SHARED_BY_DESIGN,
    Counts,
    is_published,
    legal_splits,
    published_counts,
    word_limit,
)
from m3att.data.refer.tables import Tables, annotation_folder, open_tables, splits_in
from m3att.data.text import words_in

Agreement = Literal["agrees", "differs", "unpublished", "absent"]

WORD_LIMITS = (15, 20)  # the paper's, for short and for long expressions
PERCENTILES = (50, 90, 95, 99, 100)
_NAMED = 5  # faults of a kind that are named; the others are only counted


@dataclass(frozen=True, slots=True)
class Faults:
    """A kind of fault: how many there are, and the first of them by name."""

    count: int
    first: tuple[str, ...]


_NO_FAULTS = Faults(0, ())


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
    silent: int = 0
    known_missing: int = 0
    misnamed_images: Faults = _NO_FAULTS
    unreadable_masks: Faults = _NO_FAULTS
    unreadable_photos: Faults = _NO_FAULTS
    left_out: Faults = _NO_FAULTS
    odd: Faults = _NO_FAULTS


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
        shared_images: number of images that two splits share, by "first/second"; empty where no split leaks.
        annotation_root: the folder of the annotations.
        shared_by_design: whether those who made the splits divided objects and not images.
        without_image: annotations of images that are not listed.
        repeated_images: image ids that stand more than once, with different names or sizes.
        odd_entries: images, annotations and categories without an id.
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
    repeated_images: Faults = _NO_FAULTS
    odd_entries: Faults = _NO_FAULTS

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
            and all(split.misnamed_images.count == split.odd.count == 0 for split in splits)
            and (
                self.pixels == "layout"
                or (
                    self.broken_segmentations.count == 0
                    and all(split.missing_images.count == split.known_missing for split in splits)
                    and all(split.unreadable_masks.count == split.unreadable_photos.count == 0 for split in splits)
                )
            )
        )


def check_dataset(
    root: Path | str,
    dataset: str,
    split_by: str,
    image_root: Path | str | None = None,
    read_photos: Callable[[int, int], None] | None = None,
) -> DatasetReport:
    """Reads a published data set and reports on every legal split of it.

    Args:
        root: folder that holds the data set in one of the layouts of `places`.
        dataset: name of the data set; one that is not in ``splits.SPLITS`` has the splits that its file names.
        split_by: who made the splits.
        image_root: folder of the images, where it is none that `places` knows.
        read_photos: read every photo to the end too, which takes minutes; called with the number done of a split and
            the number in all.

    Returns:
        The report; faults of single entries are counted in it and raise nothing.

    Raises:
        DataError: where data set or way of splitting is unknown, or a file is missing, unsafe or broken.
    """
    root = Path(root)
    if is_published(dataset):
        legal = legal_splits(dataset, split_by)
    else:
        legal = splits_in(open_tables(root, dataset, split_by, "train"))
    folder = annotation_folder(root, dataset, split_by)
    kept = legal
    if dataset == "phrasecut":  # a file a split, and nobody needs all of them
        kept = tuple(split for split in legal if (folder / phrase_file(split)).is_file()) or legal
    opened = {split: open_tables(root, dataset, split_by, split) for split in kept}
    names = [name for tables in opened.values() for name in tables.photo_names()]
    photos = find_photos(root, dataset, folder, names, None if image_root is None else Path(image_root))
    reports = {
        split: _check_split(dataset, split_by, split, opened[split], photos, read_photos)
        if split in opened
        else _absent(dataset, split_by, split)
        for split in legal
    }
    stores = list({id(tables.objects.store): tables.objects for tables in opened.values()}.values())
    labels = dict.fromkeys(label for tables in opened.values() for label in tables.referents.labels)
    known = {label for tables in opened.values() for label in _labels_of(tables)}
    broken = [str(id_) for objects in stores for id_ in objects.ids[objects.store["broken"]].tolist()]
    repeated = [str(id_) for objects in stores for id_ in objects.store.notes["repeated"]]
    doubtful = [str(id_) for objects in stores for id_ in objects.store.notes["doubtful"]]
    return DatasetReport(
        dataset=dataset,
        split_by=split_by,
        word_limit=word_limit(dataset),
        pixels=_pixels(dataset, reports.values(), opened.values()),
        image_root=str((photos or usual_photos(root, dataset)).path),
        splits=reports,
        unknown_splits=tuple(label for label in labels if label not in known),
        annotations=sum(len(objects.ids) + objects.store.notes["homeless"] for objects in stores),
        crowds=sum(int(objects.crowd.sum()) for objects in stores),
        without_segmentation=sum(int((objects.store["segmentation_kinds"] == 0).sum()) for objects in stores),
        broken_segmentations=listed_faults(broken),
        repeated_ids=listed_faults(repeated),
        repeated_images=listed_faults(doubtful),
        odd_entries=listed_faults([reason for objects in stores for reason in objects.store.notes["odd_objects"]]),
        shared_images=_shared_images({split: _image_ids(tables) for split, tables in opened.items()}),
        annotation_root=str(folder),
        shared_by_design=(dataset, split_by) in SHARED_BY_DESIGN,
        without_image=sum(objects.store.notes["homeless"] for objects in stores),
    )


def _absent(dataset: str, split_by: str, split: str) -> SplitReport:
    published = published_counts(dataset, split_by, split)
    return SplitReport(0, 0, 0, 0, 0, 0, published, "absent", _NO_FAULTS, _NO_FAULTS, _NO_FAULTS)


def _check_split(
    dataset: str,
    split_by: str,
    split: str,
    tables: Tables,
    photos: PhotoFolder | None,
    read_photos: Callable[[int, int], None] | None,
) -> SplitReport:
    referents, refs = tables.referents, tables.refs
    counts, targets = referents.sentence_counts()[refs], referents.target_counts()[refs]
    texts, ids = referents.texts, referents.store["sentence_ids"]
    lengths: list[int] = []
    words: set[str] = set()
    wordless: list[str] = []
    for ref in refs.tolist():
        for sentence in referents.sentences(ref):
            parts = words_in(texts[sentence])
            lengths.append(len(parts))
            words.update(parts)
            if not parts:
                wordless.append(f"sentence {int(ids[sentence])}")
    wanted, store = set(refs.tolist()), referents.store
    lost_images = [f"image {id_}" for ref, id_ in store.notes["lost_images"] if ref in wanted]
    lost = [f"annotation {id_}" for ref, id_, _ in store.notes["lost_targets"] if ref in wanted]
    numbers = tables.image_numbers().tolist()
    missing = [
        name or f"image {int(tables.objects.image_ids[number])}"
        for number in numbers
        for name in [tables.objects.file_names[number]]
        if photos is None or not name or tables.objects.store["name_faults"][number] or not photos.has(name)
    ]
    misnamed = [
        f"image {int(tables.objects.image_ids[number])}"
        for number in numbers
        if not tables.objects.file_names[number] or tables.objects.store["name_faults"][number]
    ]
    published = published_counts(dataset, split_by, split)
    images = len(_image_ids(tables))
    return SplitReport(
        refs=len(refs),
        sentences=len(lengths),
        images=images,
        words=len(words),
        longest=max(lengths, default=0),
        over_limit=sum(length > word_limit(dataset) for length in lengths),
        published=published,
        counts=_agreement(published, Counts(len(refs), len(lengths), images)),
        missing_images=listed_faults([*missing, *dict.fromkeys(lost_images)]),
        missing_annotations=listed_faults(lost),
        wordless=listed_faults(wordless),
        lengths=percentiles(lengths),
        over={str(limit): sum(length > limit for length in lengths) for limit in WORD_LIMITS},
        several_targets=int(counts[targets > 1].sum()),
        no_target=int(counts[targets == 0].sum()),
        silent=int((counts == 0).sum()),
        known_missing=sum(name in KNOWN_MISSING.get(dataset, ()) for name in missing),
        misnamed_images=listed_faults(misnamed),
        unreadable_masks=listed_faults(unreadable_masks(tables, [*([photos.path] if photos else []), tables.folder])),
        odd=listed_faults([reason for reason, _ in referents.odd_of_split(split)]),
        unreadable_photos=listed_faults(unreadable_photos(tables, photos, read_photos) if photos else ()),
    )


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


def _image_ids(tables: Tables) -> set[int]:
    """Ids of the images of a split's referents, of those too that instances.json does not list."""
    ids: NDArray[np.int64] = tables.objects.image_ids[tables.image_numbers()]
    wanted = set(tables.refs.tolist())
    return set(ids.tolist()) | {id_ for ref, id_ in tables.referents.store.notes["lost_images"] if ref in wanted}


def _labels_of(tables: Tables) -> set[str]:
    """What the file calls the split."""
    numbers = np.unique(tables.referents.store["ref_labels"][tables.refs]).tolist()
    return {tables.referents.labels[number] for number in numbers}


def _agreement(published: Counts, found: Counts) -> Agreement:
    if not found.refs:
        return "absent"
    pairs = [(getattr(published, name), getattr(found, name)) for name in ("refs", "sentences", "images")]
    known = [(expected, here) for expected, here in pairs if expected is not None]
    if not known:
        return "unpublished"
    return "agrees" if all(expected == here for expected, here in known) else "differs"


def _pixels(
    dataset: str, reports: Iterable[SplitReport], opened: Iterable[Tables]
) -> Literal["photos", "layout", "none"]:
    if any(split.images > split.missing_images.count for split in reports):
        return "photos"
    if not is_published(dataset):  # missing photos of one's own are never replaced by drawings silently
        return "none"
    has_boxes = all(not np.isnan(tables.objects.boxes_A4).any() for tables in opened)
    has_sizes = all((tables.objects.image_sizes > 0).all() for tables in opened)
    return "layout" if has_boxes and has_sizes else "none"


def _shared_images(image_ids: dict[str, set[int]]) -> dict[str, int]:
    """Images that two splits share; not those of two test splits, which teach a network nothing (RefCLEF's overlap)."""
    pairs = [pair for pair in combinations(image_ids, 2) if not all(split.startswith("test") for split in pair)]
    shared = {f"{one}/{other}": len(image_ids[one] & image_ids[other]) for one, other in pairs}
    return {pair: count for pair, count in shared.items() if count}


def listed_faults(names: Sequence[str]) -> Faults:
    """A kind of fault of these names: all are counted, and the first are kept.

    Args:
        names: what is broken or missing.
    """
    return Faults(len(names), tuple(names[:_NAMED]))
