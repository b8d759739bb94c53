"""The data sets of the REFER family: their legal splits, and how many referents and sentences were published."""

from __future__ import annotations

from dataclasses import dataclass

from m3att.errors import DataError


@dataclass(frozen=True, slots=True)
class Counts:
    """Published size of a split; None where no figure is known.

    Args:
        refs: number of referents.
        sentences: number of expressions.
        images: number of images that carry one.
    """

    refs: int | None = None
    sentences: int | None = None
    images: int | None = None


_UNKNOWN = Counts()
_UNC = ("train", "val", "testA", "testB")

# (dataset, split_by) -> split -> published counts. Sources: referents and images of RefCOCO, + and g are those that
# TensorFlow Datasets states for the refer toolbox's files; the sentences of UNC and UMD splits those that papers since
# MAttNet state (UMD's add up to its authors' 85,408 and 9,602); gRefCOCO's add up to the 259,859 that its authors
# confirm for the file they publish; PhraseCut's stand in its README, which counts miniv's 100 images and 821 phrases as
# val's, while the file of val leaves them out.
SPLITS: dict[tuple[str, str], dict[str, Counts]] = {
    ("refcoco", "unc"): {
        "train": Counts(42404, 120624, 16994),
        "val": Counts(3811, 10834, 1500),
        "testA": Counts(1975, 5657, 750),
        "testB": Counts(1810, 5095, 750),
    },
    ("refcoco", "google"): {
        "train": Counts(40000, None, 19213),
        "val": Counts(5000, None, 4559),
        "test": Counts(5000, None, 4527),
    },
    ("refcoco+", "unc"): {
        "train": Counts(42278, 120191, 16992),
        "val": Counts(3805, 10758, 1500),
        "testA": Counts(1975, 5726, 750),
        "testB": Counts(1798, 4889, 750),
    },
    ("refcoco+", "google"): {"train": _UNKNOWN, "val": _UNKNOWN, "test": _UNKNOWN},
    ("refcocog", "umd"): {
        "train": Counts(42226, 80512, 21899),
        "val": Counts(2573, 4896, 1300),
        "test": Counts(5023, 9602, 2600),
    },
    ("refcocog", "google"): {"train": Counts(44822, 85474, 24698), "val": Counts(5000, 9536, 4650)},
    ("refclef", "unc"): dict.fromkeys(("train", "val", "testA", "testB", "testC"), _UNKNOWN),
    ("refclef", "berkeley"): dict.fromkeys(("train", "val", "test"), _UNKNOWN),
    ("grefcoco", "unc"): {
        "train": Counts(None, 209344),
        "val": Counts(None, 16870),
        "testA": Counts(None, 18712),
        "testB": Counts(None, 14933),
    },
    ("phrasecut", "official"): {
        "train": Counts(310816, 310816, 71746),
        "val": Counts(19495, 19495, 2871),
        "test": Counts(14354, 14354, 2545),
        "miniv": Counts(821, 821, 100),
    },
    ("mix", "union"): dict.fromkeys(("train", "val"), _UNKNOWN),  # what `m3att data mix` writes
    ("custom", "own"): dict.fromkeys(("train", "val", "test", "testA", "testB"), _UNKNOWN),  # and `data convert`
    ("shaperef", "unc"): dict.fromkeys(_UNC, _UNKNOWN),
    ("shaperef+", "unc"): dict.fromkeys(_UNC, _UNKNOWN),
    ("shaperefg", "unc"): dict.fromkeys(_UNC, _UNKNOWN),
}


# Whoever made these divided the objects and not the images between train and the rest.
SHARED_BY_DESIGN = frozenset({("refcoco", "google"), ("refcoco+", "google"), ("refcocog", "google")})

# Photos that MCN, VLT and their heirs leave out since OpenCV cannot open them; 19579.jpg is a GIF under another name.
KNOWN_MISSING = {"refclef": ("17975.jpg", "19575.jpg", "19579.jpg")}


def legal_splits(dataset: str, split_by: str) -> tuple[str, ...]:
    """Names of the splits of a data set under one way of splitting.

    Raises:
        DataError: where the data set or the way of splitting is unknown; the message lists the legal ones.
    """
    names = tuple(dict.fromkeys(name for name, _ in SPLITS))
    if dataset not in names:
        raise DataError(f"unknown data set {dataset!r}; give one of {', '.join(names)}")
    ways = [way for name, way in SPLITS if name == dataset]
    if split_by not in ways:
        raise DataError(f"{dataset} is not split by {split_by!r}; give one of {', '.join(ways)}")
    return tuple(SPLITS[dataset, split_by])


def require_legal(dataset: str, split_by: str, split: str) -> None:
    """Refuses a combination that the field does not know.

    Args:
        dataset: its name.
        split_by: who made the split.
        split: its name.

    Raises:
        DataError: where data set, way of splitting or split is unknown; the message lists the legal ones.
    """
    legal = legal_splits(dataset, split_by)
    if split not in legal:
        raise DataError(f"{dataset} split by {split_by} has no split {split!r}; give one of {', '.join(legal)}")


def published_counts(dataset: str, split_by: str, split: str) -> Counts:
    """Published numbers of referents and sentences of a legal split; fields are None where none is known.

    Args:
        dataset: its name.
        split_by: who made the split.
        split: its name.

    Raises:
        DataError: where the data set is a published one and the combination is not legal.
    """
    if not is_published(dataset):
        return _UNKNOWN
    require_legal(dataset, split_by, split)
    return SPLITS[dataset, split_by][split]


def is_published(dataset: str) -> bool:
    """Whether it is one of the known data sets; all others, and what `data convert` writes, are somebody's own.

    The splits of one's own data are those that its files name, and nothing is drawn in the place of its photos.
    """
    return dataset != "custom" and any(dataset == name for name, _ in SPLITS)


def word_limit(dataset: str) -> int:
    """Words of an expression that the paper keeps: 20 for the long expressions of RefCOCOg and its like, else 15."""
    return 20 if dataset in ("refcocog", "shaperefg") else 15


def default_split_by(dataset: str) -> str:
    """The way of splitting that the field uses most: the first of the table.

    Raises:
        DataError: where the data set is unknown.
    """
    for name, way in SPLITS:
        if name == dataset:
            return way
    names = ", ".join(dict.fromkeys(name for name, _ in SPLITS))
    raise DataError(f"unknown data set {dataset!r}; give one of {names}")
