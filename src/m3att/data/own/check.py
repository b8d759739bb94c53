"""Says of one's own data what `data check` says of published ones: what each split holds, and what is broken in it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from m3att.config import DataConfig
from m3att.data.held_out import divide
from m3att.data.own.source import CustomSource
from m3att.data.photos import holds_file
from m3att.data.refer.check_report import (
    WORD_LIMITS,
    DatasetReport,
    SplitReport,
    listed_faults,
    percentiles,
    shared_photos,
)
from m3att.data.refer.splits import Counts, word_limit
from m3att.data.source import find_readable
from m3att.data.text import words_in
from m3att.errors import DataError, ImageError, SplitError

EVERYTHING = "everything"
"""What the only split of data is called that state none."""

_SPLITS = ("train", "val", "test", "testA", "testB", "testC")


def check_own(
    dataset: str,
    place: Path,
    open_split: Callable[[str], CustomSource],
    progress: Callable[[int, int], None] | None = None,
) -> DatasetReport:
    """Reads one's own data, of whatever form, and reports on every split.

    Args:
        dataset: name of the form: jsonl, coco, cvat, datumaro, label_studio, labelme or hf.
        place: the file or folder, for the report.
        open_split: opens a split; raises SplitError where there is none of that name.
        progress: read every photo to its end too; called with the number done of a split and the number in all.

    Returns:
        The report; faults of single entries are counted in it and raise nothing.

    Raises:
        DataError: where there is no split at all, or one cannot be opened.
    """
    sources: dict[str, CustomSource] = {}
    failed: list[SplitError] = []
    for split in _SPLITS:
        try:
            source = open_split(split)
        except SplitError as error:
            failed.append(error)
            continue
        if not source.stated_split:
            sources = {EVERYTHING: source}
            break
        sources[split] = source
    if not sources:
        raise failed[0]
    reports = {split: _check_split(source, progress) for split, source in sources.items()}
    there = any(report.images > report.missing_images.count for report in reports.values())
    first = next(iter(sources.values()))
    return DatasetReport(
        dataset=dataset,
        split_by="own",
        word_limit=word_limit(dataset),
        pixels="photos" if there else "none",
        image_root=str(first.image_root),
        splits=reports,
        unknown_splits=(),
        annotations=sum(source.object_count for source in sources.values()),
        crowds=sum(source.crowd_count for source in sources.values()),
        without_segmentation=0,
        broken_segmentations=listed_faults(()),
        repeated_ids=listed_faults(()),
        shared_images=shared_photos({split: _photos_in(source) for split, source in sources.items()}),
        annotation_root=str(place),
        held_out=_count_held_out(sources[EVERYTHING]) if EVERYTHING in sources else 0,
        notes=listed_faults(list(dict.fromkeys(note for source in sources.values() for note in source.notes))),
    )


def _check_split(source: CustomSource, progress: Callable[[int, int], None] | None) -> SplitReport:
    lengths: list[int] = []
    words: set[str] = set()
    wordless: list[str] = []
    for text in source.texts():
        parts = words_in(text)
        lengths.append(len(parts))
        words.update(parts)
        if not parts:
            wordless.append(repr(text[:40]))
    missing = source.missing_images()
    photos, masks = _unreadable(source, set(missing), progress)
    limit = word_limit("own")
    return SplitReport(
        refs=sum(len(source.expression_groups(index)) for index in range(len(source))),
        sentences=len(lengths),
        images=len(source),
        words=len(words),
        longest=max(lengths, default=0),
        over_limit=sum(length > limit for length in lengths),
        published=Counts(),
        counts="unpublished",
        missing_images=listed_faults([source.image_name(index) for index in missing]),
        missing_annotations=listed_faults(()),
        wordless=listed_faults(wordless),
        lengths=percentiles(lengths),
        over={str(one): sum(length > one for length in lengths) for one in WORD_LIMITS},
        no_target=source.no_targets or 0,
        boxed=source.boxed or 0,
        unnamed=source.unnamed_count,
        unreadable_masks=listed_faults(masks),
        unreadable_photos=listed_faults(photos),
        left_out=listed_faults([fault.reason for fault in source.faults]),
    )


def _unreadable(
    source: CustomSource, missing: set[int], progress: Callable[[int, int], None] | None
) -> tuple[list[str], list[str]]:
    """What is wrong with photos that are there, and with masks; without progress told from the headers of photos."""
    photos: list[str] = []
    masks: list[str] = []
    for index in range(len(source)):
        if index not in missing:
            try:
                if progress is None:
                    masks += source.mask_faults(index)
                else:
                    source.read(index)
            except ImageError as error:
                photos.append(str(error))
            except DataError as error:
                positions = [one for group in source.expression_groups(index) for one in group]
                _, faults = find_readable(source, index, positions, error)
                masks += [fault.reason for fault in faults]
        if progress is not None:
            progress(index + 1, len(source))
    return photos, masks


def _photos_in(source: CustomSource) -> list[tuple[str, ...]]:
    """The name of the photo of each image, in one spelling, and its file, to which two names may lead."""
    files = (source.image_path(index) for index in range(len(source)))
    return [
        (name, os.path.realpath(file)) if holds_file(file.parent, file.name) else (name,)
        for name, file in zip(source.photo_names, files, strict=True)
    ]


def _count_held_out(whole: CustomSource) -> int:
    """How many images a training holds out of data that state no split, with the usual settings."""
    usual = DataConfig()
    part = divide(whole, "val", usual.held_out, usual.seed)
    return 0 if part is whole else len(part)
