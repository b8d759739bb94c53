"""Finds data sets and their photos: in the REFER layout, and in the folders of other programs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from m3att.data.photos import PhotoFolder, folders_below, fullest_folder
from m3att.data.refer.splits import is_published
from m3att.errors import DataError, counted

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
    for folder in annotation_folders(root, dataset):
        if any((folder / name).is_file() for name in names):
            return folder
    return root / dataset


def annotation_folders(root: Path, dataset: str) -> list[Path]:
    """Folders that may hold a data set's annotations, the usual one first.

    Args:
        root: what the user names.
        dataset: name of the data set.
    """
    places = [place.format(dataset=dataset) for place in (_PHRASECUT if dataset == "phrasecut" else _ANNOTATIONS)]
    if dataset != "phrasecut" and is_published(dataset) and root.name != dataset:
        places.remove("")  # a folder of another data set must not be taken for this one
    return [root / place for place in places]


def find_photos(
    root: Path,
    dataset: str,
    folder: Path | None = None,
    names: Sequence[str] = (),
    image_root: Path | None = None,
) -> PhotoFolder | None:
    """The folder of a data set's photos.

    Args:
        root: what the user names.
        dataset: name of the data set.
        folder: of its annotations, where that is known; photos are looked for beside it too.
        names: photos that are wanted. A few of them, from the whole length of the list, decide; without names any
            folder that is not empty will do.
        image_root: folder of the photos that the user names; then only it and what lies below it are looked into.

    Returns:
        The folder that holds most of them, or None where none holds any.

    Raises:
        DataError: where ``image_root`` is no folder, or holds none of the photos.
    """
    if image_root is not None and not image_root.is_dir():
        raise DataError(f"{image_root}: no such folder of images; check --image-root")
    bases = [image_root] if image_root is not None else _bases(root, folder)
    found = fullest_folder(_candidates(bases, dataset), names, family_of(dataset), _holds_photos)
    if found is None and image_root is not None and names:
        photos = f"{counted(len(names), 'photo')} of {dataset}"
        raise DataError(
            f"{image_root}: holds none of the {photos}, the first is {names[0]!r:.80}; give the folder that "
            "holds them as --image-root"
        )
    return found


def usual_photos(root: Path, dataset: str) -> PhotoFolder:
    """Where the REFER layout keeps a data set's photos."""
    family = family_of(dataset)
    return PhotoFolder(root / _PHOTOS.get(family, (f"images/{dataset}",))[0], family)


def _holds_photos(path: Path) -> bool:
    return any(any(path.glob(pattern)) for pattern in ("*.jpg", "*.png", "*/images/*.jpg", "VG_100K*/*.jpg"))


def _bases(root: Path, folder: Path | None) -> list[Path]:
    return [root] if folder is None else [folder.parent, root, folder, root.parent]


def _candidates(bases: Sequence[Path], dataset: str) -> Iterable[Path]:
    places = _PHOTOS.get(family_of(dataset), (f"images/{dataset}",))
    for base in bases:
        for place in (*places, f"images/{dataset}", "images", "JPEGImages", ""):
            yield base / place
    # Under any other name, where the names of the photos tell; a root's own parent may be anybody's.
    for base in bases[:3]:
        for known in (base, base / "images", base / "images" / dataset):
            yield from folders_below(known)
