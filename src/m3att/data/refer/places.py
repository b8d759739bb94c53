"""Where data sets and their photos lie: in the REFER layout, and as users of other programs have them on disk."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from m3att.errors import DataError

_PROBES = 24  # names that are tried in a folder before it counts as the one

# Folders of a data set's annotations below the root, the usual one first.
_ANNOTATIONS = (
    "{dataset}",  # the REFER layout; MCN's data/, CRIS's and ReLA's datasets/
    "refer/data/{dataset}",  # LAVT's repository
    "data/{dataset}",  # the refer toolbox's repository, and MCN's
    "datasets/{dataset}",  # CRIS's and ReLA's repositories
    "annotations/{dataset}",
    "",  # the root is the data set's own folder
)

_PHRASECUT = (
    "phrasecut",
    "VGPhraseCut_v0",
    "data/VGPhraseCut_v0",  # the PhraseCutDataset repository
    "PhraseCutDataset/data/VGPhraseCut_v0",
    "",
)

# Folders of photos below the root or beside the data set's folder, by family, the usual one first.
_PHOTOS = {
    "coco": (
        "images/mscoco/images/train2014",  # the REFER layout, LAVT
        "images/train2014",  # MCN, CRIS, ReLA
        "train2014",  # COCO itself, unpacked into the root
        "images/mscoco/train2014",
        "mscoco/images/train2014",
        "mscoco/train2014",
        "coco/images/train2014",
        "coco/train2014",
        "coco2014/train2014",
        "COCO/train2014",
        "images/train2017",  # the same photos under shorter names
        "train2017",
        "coco/train2017",
        "coco2017/train2017",
        "images",
    ),
    "saiapr": ("images/saiapr_tc-12", "saiapr_tc-12", "images/refclef", "images/referit", "refclef/images", "images"),
    "genome": (
        "images/visual_genome",
        "visual_genome",
        "images/phrasecut",
        "phrasecut/images",
        "VGPhraseCut_v0/images",
        "images",
        "",
    ),
}

_COCO_PREFIX = "COCO_train2014_"


@dataclass(frozen=True, slots=True)
class PhotoFolder:
    """A folder of photos, and how they are named in it.

    Args:
        path: the folder.
        family: coco, saiapr, genome, or the data set's own name.
    """

    path: Path
    family: str

    def file(self, name: str) -> Path:
        """Where a photo lies, or would lie in the usual layout, by its name in ``instances.json``."""
        spellings = self._spellings(name)
        if len(spellings) > 1:
            for spelling in spellings:
                if (self.path / spelling).is_file():
                    return self.path / spelling
        return self.path / spellings[0]

    def has(self, name: str) -> bool:
        """Whether a photo is there under one of its names."""
        return any((self.path / spelling).is_file() for spelling in self._spellings(name))

    def _spellings(self, name: str) -> list[str]:
        if self.family == "coco" and name.startswith(_COCO_PREFIX):
            return [name, name.removeprefix(_COCO_PREFIX)]
        if self.family == "saiapr" and (number := name.partition(".")[0]).isdecimal():
            return [name, f"{int(number) // 1000:02d}/images/{name}"]  # as the whole of SAIAPR TC-12 is distributed
        if self.family == "genome":
            return [name, f"VG_100K/{name}", f"VG_100K_2/{name}"]  # as Visual Genome is distributed
        return [name]


def family_of(dataset: str) -> str:
    """Which photos a data set is made of."""
    if dataset.startswith(("refcoco", "grefcoco")):
        return "coco"
    return {"refclef": "saiapr", "phrasecut": "genome"}.get(dataset, dataset)


def find_annotations(root: Path, dataset: str, names: Sequence[str]) -> Path:
    """The folder of a data set's annotations.

    Args:
        root: what the user names.
        dataset: name of the data set.
        names: files that mark the folder; one of them suffices.

    Returns:
        The first of the known folders that holds one of the files, or the usual one where none does.
    """
    for place in _PHRASECUT if dataset == "phrasecut" else _ANNOTATIONS:
        folder = root / place.format(dataset=dataset)
        if place == "" and dataset != "phrasecut" and root.name != dataset:
            continue  # a folder of another data set must not pass for this one
        if any((folder / name).is_file() for name in names):
            return folder
    return root / dataset


def find_photos(root: Path, dataset: str, folder: Path | None = None, names: Sequence[str] = ()) -> PhotoFolder | None:
    """The folder of a data set's photos.

    Args:
        root: what the user names.
        dataset: name of the data set.
        folder: of its annotations, where that is known; photos are looked for beside it too.
        names: photos that are wanted. A few of them, from the whole length of the list, must be there; without names
            any folder that is not empty will do.

    Returns:
        Of the known folders the one that holds most of them, or None where none holds any.
    """
    family = family_of(dataset)
    probes = names[:: max(1, len(names) // _PROBES)][:_PROBES]
    best: tuple[int, PhotoFolder] | None = None
    for path in dict.fromkeys(_candidates(root, dataset, folder)):
        if not path.is_dir():
            continue
        found = PhotoFolder(path, family)
        hits = sum(found.has(name) for name in probes) if probes else int(_holds_photos(path))
        if hits > (best[0] if best else 0):
            best = (hits, found)
        if probes and hits == len(probes):
            break
    return best[1] if best else None


def usual_photos(root: Path, dataset: str) -> PhotoFolder:
    """Where the REFER layout keeps a data set's photos."""
    family = family_of(dataset)
    return PhotoFolder(root / _PHOTOS.get(family, (f"images/{dataset}",))[0], family)


def given_photos(path: Path, dataset: str) -> PhotoFolder:
    """A folder that the user names as that of a data set's photos.

    Raises:
        DataError: where it is no folder.
    """
    if not path.is_dir():
        raise DataError(f"{path}: no such folder of images; check image_root")
    return PhotoFolder(path, family_of(dataset))


def _holds_photos(path: Path) -> bool:
    return any(any(path.glob(pattern)) for pattern in ("*.jpg", "*.png", "*/images/*.jpg", "VG_100K*/*.jpg"))


def _candidates(root: Path, dataset: str, folder: Path | None) -> Iterable[Path]:
    places = _PHOTOS.get(family_of(dataset), (f"images/{dataset}",))
    bases = [root] if folder is None else [folder.parent, root, folder, root.parent]
    for base in bases:
        for place in places:
            yield base / place
