"""Opens the annotations of one split of a published data set, in any of the known folders and files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from m3att.data.fields import OWN_FORMS
from m3att.data.photos import PhotoFolder
from m3att.data.refer.objects import ObjectTable, read_objects
from m3att.data.refer.phrasecut import phrase_file, read_phrases
from m3att.data.refer.places import annotation_folders, find_annotations, find_photos
from m3att.data.refer.referents import ReferentTable, read_referents
from m3att.data.refer.splits import SPLITS, default_split_by, is_published, require_legal
from m3att.errors import DataError, shown


@dataclass(frozen=True, slots=True)
class Tables:
    """The annotations of a split.

    Args:
        folder: where they lie.
        objects: images and objects; of other splits too.
        referents: referents and expressions; of other splits too.
        refs: numbers of the split's referents, in the file's order, those without an expression too.
    """

    folder: Path
    objects: ObjectTable
    referents: ReferentTable
    refs: NDArray[np.int64]

    def image_numbers(self) -> NDArray[np.int64]:
        """(B,), places in the object table of the images that carry an expression of the split, ascending."""
        spoken = self.refs[self.referents.sentence_counts()[self.refs] > 0]
        numbers: NDArray[np.int64] = np.unique(self.referents.image_numbers[spoken]).astype(np.int64)
        return numbers[numbers >= 0]

    def photo_names(self) -> list[str]:
        """The file names of the split's images."""
        names = self.objects.file_names
        return [name for number in self.image_numbers() if (name := names[int(number)])]

    def photos(self, root: Path, dataset: str, image_root: Path | None = None) -> PhotoFolder | None:
        """Where the photos of the split's images lie; None where none is at hand.

        Args:
            root: see open_tables.
            dataset: name of the data set.
            image_root: folder of the photos, where the user names one.

        Raises:
            DataError: where the user names a folder that holds none of them.
        """
        return find_photos(root, dataset, self.folder, self.photo_names(), image_root)


def annotation_folder(root: Path, dataset: str, split_by: str) -> Path:
    """The folder of a data set's annotations below a root, or where the REFER layout would have it.

    Args:
        root: that the user gave.
        dataset: its name.
        split_by: who made the split.
    """
    return find_annotations(root, dataset, _markers(dataset, split_by))


def find_split_by(root: Path, dataset: str, given: str | None = None) -> str:
    """Who made the splits of a data set.

    Args:
        root: folder that holds the data set.
        dataset: its name, which may be any.
        given: what the user says.

    Returns:
        What the user says, or else the usual one of a published data set, the only one of somebody's own.

    Raises:
        DataError: where there is no such data set, or several have split it.
    """
    if is_published(dataset):
        return given or default_split_by(dataset)
    files = sorted(path for folder in annotation_folders(root, dataset) for path in folder.glob("*refs(*).*"))
    makers = list(dict.fromkeys(path.name.partition("(")[2].rpartition(")")[0] for path in files))
    for maker in (given,) if given is not None else ("own", *makers[: len(makers) == 1]):
        if maker in makers:
            return maker
    if makers:
        raise DataError(f"{files[0].parent}: has refs of {', '.join(makers)}; say which as split_by")
    known = ", ".join(dict.fromkeys(name for name, _ in SPLITS))
    raise DataError(
        f"unknown data set {shown(dataset)}; known: {known}; one of another name needs refs(NAME).p and instances.json "
        f"in {root / dataset}, and your own files are {', '.join(OWN_FORMS)} (Roboflow's are coco)"
    )


def open_tables(root: Path, dataset: str, split_by: str, split: str) -> Tables:
    """Reads the annotations of a split, or what the cache holds of them.

    Args:
        root: folder that holds the data set in one of the layouts of `places`.
        dataset: name of the data set; one that is not in ``splits.SPLITS`` has the splits that its file names.
        split_by: who made the split.
        split: its name.

    Raises:
        DataError: where the split is not legal, or a file is missing or broken.
    """
    if is_published(dataset):
        require_legal(dataset, split_by, split)
    folder = annotation_folder(root, dataset, split_by)
    if dataset == "phrasecut":
        objects, referents = read_phrases(folder, split)
    else:
        markers = [folder / name for name in _markers(dataset, split_by)]
        refs = next((path for path in markers if path.is_file()), markers[0])
        if not refs.is_file() and not is_published(dataset):
            find_split_by(root, dataset, split_by)
        if not refs.is_file():  # reported before the annotations are read, which takes seconds
            raise DataError(f"{refs}: cannot be read (no such file); docs/datasets.md lists the layouts that are known")
        objects = read_objects(folder / "instances.json")
        referents = read_referents(refs, objects, folder / "instances.json")
    return Tables(folder, objects, referents, referents.of_split(split))


def _markers(dataset: str, split_by: str) -> list[str]:
    """Files of which a data set's folder has at least one."""
    if dataset == "phrasecut":
        return [phrase_file(split) for split in ("train", "val", "test", "miniv")]
    json_files = [f"grefs({split_by}).json", f"grefs({split_by}).p"]
    if dataset == "grefcoco":
        return json_files
    return [f"refs({split_by}).p", *(() if is_published(dataset) else (*json_files, f"refs({split_by}).json"))]


def splits_in(tables: Tables) -> tuple[str, ...]:
    """The splits that a refs file names, in the order of the usual ones."""
    usual = list(dict.fromkeys(split for splits in SPLITS.values() for split in splits))
    labels = set(tables.referents.labels)
    return tuple(split for split in usual if split in labels) + tuple(sorted(labels - set(usual)))
