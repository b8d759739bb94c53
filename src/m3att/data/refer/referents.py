"""The referents and expressions of a data set as flat arrays, beside the objects that they name."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from m3att.data.faults import Fault
from m3att.data.fields import named_ids, names_of_split, whole_id
from m3att.data.refer.objects import ObjectTable
from m3att.data.refer.records import collector_paused, read_refs, sentence_text
from m3att.data.refer.store import Arrays, Store, Texts, cached, pack_texts
from m3att.errors import shown


class ReferentTable:
    """Referents in the order of their file; one names one object, several (gRefCOCO, PhraseCut), or none (gRefCOCO).

    Args:
        store: made by a `ReferentWriter`.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.labels: tuple[str, ...] = tuple(store.notes["labels"])

    def __len__(self) -> int:
        return len(self.store["ref_ids"])

    @property
    def texts(self) -> Texts:
        """All expressions."""
        return self.store.texts("texts")

    @property
    def image_numbers(self) -> NDArray[np.int32]:
        """(R,), places in the object table; -1 where it lacks the image."""
        return self.store["ref_images"]

    def sentences(self, ref: int) -> range:
        """Numbers of a referent's expressions."""
        starts = self.store["sentence_starts"]
        return range(int(starts[ref]), int(starts[ref + 1]))

    def sentence_counts(self) -> NDArray[np.int64]:
        """(R,)."""
        return np.diff(self.store["sentence_starts"])

    def targets(self, ref: int) -> tuple[int, ...]:
        """Rows of the objects that a referent is made of; empty where its expressions name nothing."""
        starts = self.store["target_starts"]
        return tuple(self.store["target_rows"][int(starts[ref]) : int(starts[ref + 1])].tolist())

    def target_counts(self) -> NDArray[np.int64]:
        """(R,), objects that each referent is made of, those that the annotations lack included."""
        return np.diff(self.store["target_starts"])

    def skills(self, sentence: int) -> tuple[str, ...]:
        """Tags of an expression."""
        return tuple(self.store.notes["skills"][int(self.store["skill_numbers"][sentence])])

    def of_split(self, split: str) -> NDArray[np.int64]:
        """(R,), referents of a split in the file's order, those without an expression too."""
        known = names_of_split(split, self.labels)
        chosen = [number for number, label in enumerate(self.labels) if label in known or belongs(label, split)]
        return np.flatnonzero(np.isin(self.store["ref_labels"], chosen))

    def odd_of_split(self, split: str) -> list[tuple[str, int]]:
        """What cannot be read of a split, or says no split: the reason, and how many expressions it costs."""
        return [
            (reason, cost) for reason, label, cost in self.store.notes["odd"] if not label or is_of_split(label, split)
        ]


def is_of_split(label: str, split: str) -> bool:
    """Whether a label that stands alone means a split."""
    return belongs(label, split) or bool(names_of_split(split, [label]))


def belongs(label: str, split: str) -> bool:
    """Whether a referent labelled so is in a split; RefCLEF labels some with several, as ``testAB``."""
    if split in ("testA", "testB", "testC") and label.startswith("test"):
        return split[-1] in label[4:]
    return label == split


def read_referents(path: Path, objects: ObjectTable, annotations: Path) -> ReferentTable:
    """Reads ``refs(<split_by>).p`` or ``grefs(<split_by>).json``, or what the cache holds of it.

    Args:
        path: the file.
        objects: what stands in its instances.json.
        annotations: that instances.json; other annotations have other rows.

    Raises:
        DataError: where the file is missing, unsafe, broken or no list of referents.
    """
    return ReferentTable(cached("referents", [path, annotations], lambda: _build(path, objects)))


def _build(path: Path, objects: ObjectTable) -> tuple[Arrays, Mapping[str, Any]]:
    writer = ReferentWriter(objects)
    with collector_paused():
        refs, odd = read_refs(path)
        for ref in refs:
            writer.add(ref["ref_id"], ref["image_id"], ref["split"], named_ids(ref))
            for sentence in ref["sentences"]:
                writer.add_sentence(sentence["sent_id"], sentence_text(sentence), sentence.get("skills"))
        arrays, notes = writer.finish()
        return arrays, {**notes, "odd": [list(one) for one in odd]}


class ReferentWriter:
    """Collects referents into the arrays of a `ReferentTable`.

    Args:
        objects: what they name.
    """

    def __init__(self, objects: ObjectTable) -> None:
        ids = objects.ids.tolist()
        self._row_of = dict(zip(ids, range(len(ids)), strict=True))
        for id_ in objects.store.notes["repeated"]:  # which of them is meant, nobody can know
            self._row_of.pop(id_, None)
        self._number_of = {id_: number for number, id_ in enumerate(objects.image_ids.tolist())}
        for id_ in objects.store.notes["doubtful"]:
            del self._number_of[id_]
        self._owner = np.repeat(np.arange(len(objects.image_ids)), np.diff(objects.starts)).tolist()
        self._crowd = set(np.flatnonzero(objects.crowd).tolist())
        self._nothing = set(np.flatnonzero(objects.store["nothing"]).tolist())
        self._ref_ids, self._ref_images, self._ref_labels = array("q"), array("i"), array("i")
        self._labels: dict[str, int] = {}
        self._sentence_counts, self._target_counts = array("i"), array("i")
        self._sentence_ids, self._target_rows = array("q"), array("i")
        self._texts: list[str] = []
        self._skills: dict[tuple[str, ...], int] = {(): 0}
        self._skill_numbers = array("i")
        self._lost_targets: dict[int, tuple[int | None, int]] = {}
        self._lost_images: dict[int, int] = {}

    def add(self, ref_id: int, image_id: int, label: str, ids: Sequence[Any]) -> None:
        """Begins a referent.

        Crowd regions are no part of it where it names other objects too, as in ReLA; where it names nothing but them,
        they are what it means.

        Args:
            ref_id: its id.
            image_id: its image's id.
            label: the split that it is of.
            ids: of its annotations; none where it names nothing.
        """
        place = len(self._ref_ids)
        image = self._number_of.get(image_id, -1)
        if image < 0:
            self._lost_images[place] = image_id
        rows: list[int] = []
        for id_ in ids:
            number = whole_id(id_)
            row = -1 if number is None else self._row_of.get(number, -1)
            if row >= 0 and self._owner[row] != image:
                row = -1
            if row < 0:
                self._lost_targets.setdefault(place, (number, image_id))
            if row not in self._nothing:
                rows.append(row)
        if len(rows) > 1:
            rows = [row for row in rows if row not in self._crowd] or rows
        self._target_rows.extend(rows)
        self._ref_ids.append(ref_id)
        self._ref_images.append(image)
        self._ref_labels.append(self._labels.setdefault(label, len(self._labels)))
        self._sentence_counts.append(0)
        self._target_counts.append(len(rows))

    def add_sentence(self, sentence_id: int, text: str, skills: Sequence[str] | None = None) -> None:
        """Takes an expression of the referent that was begun last.

        Args:
            sentence_id: of the data set.
            text: of the expression.
            skills: its tags; None where the data set has none.
        """
        self._sentence_counts[-1] += 1
        self._sentence_ids.append(sentence_id)
        self._texts.append(text)
        tags = tuple(skills) if skills else ()
        self._skill_numbers.append(self._skills.setdefault(tags, len(self._skills)))

    def finish(self) -> tuple[Arrays, Mapping[str, Any]]:
        """The arrays, and notes of labels, tags and what the annotations lack."""
        arrays: dict[str, NDArray[Any]] = {
            "ref_ids": np.array(self._ref_ids, dtype=np.int64),
            "ref_images": np.array(self._ref_images, dtype=np.int32),
            "ref_labels": np.array(self._ref_labels, dtype=np.int32),
            "sentence_starts": _starts(self._sentence_counts),
            "target_starts": _starts(self._target_counts),
            "target_rows": np.array(self._target_rows, dtype=np.int32),
            "sentence_ids": np.array(self._sentence_ids, dtype=np.int64),
            "skill_numbers": np.array(self._skill_numbers, dtype=np.int32),
            **pack_texts("texts", self._texts),
        }
        notes = {
            "labels": list(self._labels),
            "skills": [list(tags) for tags in self._skills],
            "lost_targets": [[place, *lost] for place, lost in self._lost_targets.items()],
            "lost_images": list(self._lost_images.items()),
            "odd": [],
        }
        return arrays, notes


def split_whole(
    table: ReferentTable, refs: NDArray[np.int64], place: str, split: str
) -> tuple[NDArray[np.int64], tuple[Fault, ...]]:
    """Tells referents whose image and annotations are there from those that nobody can find.

    Args:
        table: all referents.
        refs: those that are wanted.
        place: the data set's folder, for messages.
        split: the split that they are of.

    Returns:
        Those that are whole, (R,), and a fault for each of the others.
    """
    wanted, counts = set(refs.tolist()), table.sentence_counts()
    reasons: dict[int, str] = {}
    for ref, annotation_id, image_id in table.store.notes["lost_targets"]:
        reasons[ref] = f"points to annotation {annotation_id}, which image {image_id} does not have, or has twice"
    for ref, image_id in table.store.notes["lost_images"]:
        reasons[ref] = f"is of image {image_id}, which instances.json does not have, or has twice"
    lost = [
        Fault(f"{place}: referent {int(table.store['ref_ids'][ref])} {reason}", entries=int(counts[ref]))
        for ref, reason in sorted(reasons.items())
        if ref in wanted
    ]
    odd = [Fault(f"{place}: {reason}", entries=cost) for reason, cost in table.odd_of_split(split)]
    return refs[~np.isin(refs, list(reasons))], tuple(odd + lost)


def split_named(
    table: ReferentTable, objects: ObjectTable, refs: NDArray[np.int64], place: str
) -> tuple[NDArray[np.int64], tuple[Fault, ...]]:
    """Tells referents whose photo has a name from those whose photo nobody can find.

    Args:
        table: all referents.
        objects: with their images.
        refs: those that are wanted.
        place: the data set's folder, for messages.

    Returns:
        Those whose photo has one, (R,), and a fault for each of the others.
    """
    numbers = table.image_numbers[refs]
    is_odd = objects.store["name_faults"][numbers] > 0
    counts = table.sentence_counts()
    faults: list[Fault] = []
    for ref, number in zip(refs[is_odd].tolist(), numbers[is_odd].tolist(), strict=True):
        name, which = objects.file_names[number], f"image {int(objects.image_ids[number])}"
        wrong = f"is named {shown(name)}, outside the image folder" if name else "has no 'file_name'"
        faults.append(Fault(f"{place}: instances.json: {which} {wrong}", entries=int(counts[ref])))
    return refs[~is_odd], tuple(faults)


def _starts(counts: array[int]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(np.array(counts, dtype=np.int64))]).astype(np.int64)
