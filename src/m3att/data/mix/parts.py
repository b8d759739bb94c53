"""The data sets of a mixture, and the photos that they are scored on."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from m3att.data.refer.places import family_of, find_annotations
from m3att.data.refer.records import read_refs
from m3att.data.refer.referents import belongs
from m3att.data.refer.splits import is_published, legal_splits
from m3att.data.refer.tables import find_split_by
from m3att.errors import DataError

_COCO_NAME = re.compile(r"(?:COCO_(?:train|val|test)\d{4}_)?(\d{12})\.\w+")


@dataclass(frozen=True, slots=True)
class Part:
    """One data set of a mixture.

    Args:
        root: of the REFER layout, or a layout that is known.
        dataset: its name.
        split_by: who made its splits.
        trains: whether its training referents enter; else it only keeps photos out.
    """

    root: Path
    dataset: str
    split_by: str
    trains: bool = True

    @classmethod
    def parse(cls, text: str, trains: bool = True) -> Part:
        """Reads ``ROOT:DATASET`` or ``ROOT:DATASET:SPLIT_BY``.

        Raises:
            DataError: where it is neither, or names no data set of the REFER family.
        """
        words = text.rsplit(":", 2)
        if len(words) < 2 or not all(words):
            raise DataError(f"{text!r} names no data set: write ROOT:DATASET:SPLIT_BY, as in data:refcoco:unc")
        split_by = find_split_by(Path(words[0]), words[1], words[2] if len(words) == 3 else None)
        if is_published(words[1]):
            legal_splits(words[1], split_by)
        if words[1] == "phrasecut":
            raise DataError(
                "phrasecut cannot be mixed: half of its photos are COCO's under other numbers, and nothing would tell"
            )
        return cls(Path(words[0]), words[1], split_by, trains)

    @property
    def name(self) -> str:
        """What reports call it."""
        return f"{self.dataset} ({self.split_by})"

    @property
    def refs_file(self) -> Path:
        """Where its referents stand."""
        names = (f"refs({self.split_by}).p", f"grefs({self.split_by}).json")
        folder = find_annotations(self.root, self.dataset, names)
        return next((folder / name for name in names if (folder / name).is_file()), folder / names[0])


@dataclass(slots=True)
class Holders:
    """Which splits a photo is held out by.

    Args:
        scored: for each photo the names of the splits, of any data set, that are not train.
        tested: the photos of splits that are neither train nor val.
        absent: for each data set the splits that its file should have and has not.
    """

    scored: dict[str, set[str]] = field(default_factory=dict)
    tested: set[str] = field(default_factory=set)
    absent: dict[Part, tuple[str, ...]] = field(default_factory=dict)


def photo_of(part: Part, image_id: int) -> str:
    """What tells a photo from all others, whichever data set shows it: COCO's ids are the photos' own numbers."""
    family = family_of(part.dataset)
    return f"{family} {image_id}" if family in ("coco", "saiapr") else f"{part.root.resolve()} {family} {image_id}"


def find_holders(parts: Iterable[Part]) -> Holders:
    """Reads which photos the data sets score on.

    Raises:
        DataError: where a file is missing or broken, or a referent cannot be read, so that nobody knows its photo.
    """
    holders = Holders()
    for part in parts:
        present: set[str] = set()
        refs, odd = read_refs(part.refs_file)
        if odd:  # nobody can know which photo it is of
            raise DataError(f"{part.refs_file}: {odd[0].reason}; mend it, or remove it, before the data set is mixed")
        for ref in refs:
            split, photo = ref["split"], photo_of(part, ref["image_id"])
            present.add(split)
            if split != "train":
                holders.scored.setdefault(photo, set()).add(f"{part.name} {split}")
            if split not in ("train", "val"):
                holders.tested.add(photo)
        legal = legal_splits(part.dataset, part.split_by) if is_published(part.dataset) else ()
        holders.absent[part] = tuple(s for s in legal if not any(belongs(label, s) for label in present))
    return holders


def coco_number(name: str) -> int | None:
    """The number that COCO gives a photo, told from its file's name."""
    found = _COCO_NAME.fullmatch(Path(name).name)
    return int(found[1]) if found else None
