"""Says of one's own data what `data check` says of published ones: what each split holds, and what is broken in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path

from m3att.data.own.source import CustomSource
from m3att.data.refer.check_report import WORD_LIMITS, DatasetReport, SplitReport, listed_faults, percentiles
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
        shared_images=_shared(sources),
        annotation_root=str(place),
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


def _shared(sources: dict[str, CustomSource]) -> dict[str, int]:
    """Images that two splits share, by "first/second"; those of two test splits teach a network nothing."""
    names = {split: {source.image_name(at) for at in range(len(source))} for split, source in sources.items()}
    pairs: Sequence[tuple[str, str]] = [
        pair for pair in combinations(names, 2) if not all(split.startswith("test") for split in pair)
    ]
    shared = {f"{one}/{other}": len(names[one] & names[other]) for one, other in pairs}
    return {pair: count for pair, count in shared.items() if count}
