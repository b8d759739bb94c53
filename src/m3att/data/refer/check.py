"""Compares a data set on disk with what was published, and finds what is missing or broken in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal

import numpy as np

from m3att.data.photos import PhotoFolder, photo_of
from m3att.data.refer.check_report import (
    NO_FAULTS,
    WORD_LIMITS,
    Agreement,
    DatasetReport,
    SplitReport,
    listed_faults,
    percentiles,
    shared_photos,
)
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
        shared_images=shared_photos({split: _photos_in(tables) for split, tables in opened.items()}),
        annotation_root=str(folder),
        shared_by_design=(dataset, split_by) in SHARED_BY_DESIGN,
        without_image=sum(objects.store.notes["homeless"] for objects in stores),
    )


def _absent(dataset: str, split_by: str, split: str) -> SplitReport:
    published = published_counts(dataset, split_by, split)
    return SplitReport(0, 0, 0, 0, 0, 0, published, "absent", NO_FAULTS, NO_FAULTS, NO_FAULTS)


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
    images = len({marks[0] for marks in _photos_in(tables)})
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


def _photos_in(tables: Tables) -> list[tuple[str, ...]]:
    """The id and the file name of the images of a split's referents, of those too that instances.json does not list.

    A photo may stand under several ids.
    """
    objects, wanted = tables.objects, set(tables.refs.tolist())
    listed = [
        (f"id {objects.image_ids[number]}", *([photo_of(name)] if (name := objects.file_names[number]) else []))
        for number in tables.image_numbers().tolist()
    ]
    lost = {id_ for ref, id_ in tables.referents.store.notes["lost_images"] if ref in wanted}
    return listed + [(f"id {id_}",) for id_ in lost]


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
