"""Finds photos: the names that they may have in a folder, and the right one of several folders."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from urllib.parse import parse_qs, unquote, urlsplit

_SAMPLE = 48  # names that are looked up in a folder to decide whether it is the right one
_MOST_FOLDERS = 64
_MOST_ENTRIES = 200
_PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm", ".pgm")
_FAMILIES = ("coco", "saiapr", "genome")
_COCO_PREFIX = "COCO_train2014_"
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_DRIVE = re.compile(r"[A-Za-z]:/")
_UPLOAD = re.compile(r"[0-9a-f]{8}-(?=.)")  # what Label Studio puts before the name of an uploaded file


@dataclass(frozen=True, slots=True)
class PhotoFolder:
    """A folder of photos, and how they are named in it.

    Args:
        path: the folder.
        family: coco, saiapr, genome, or any other word for data of one's own.
        shared: ends of names that several photos have; no photo is looked for under these. See `shared_ends`.
    """

    path: Path
    family: str = "own"
    shared: frozenset[str] = frozenset()

    def find(self, name: str) -> Path | None:
        """The file of a photo by its name in the annotations, or None where the folder does not hold it."""
        first = self.path / name
        if _is_file(first):  # by far the most often
            return first
        others = (one for one in self._spellings(name)[1:] if one not in self.shared)
        return next((path for one in others if _is_file(path := self.path / one)), None)

    def file(self, name: str) -> Path:
        """The path of a photo with this name in the annotations, whether it exists or not."""
        return self.find(name) or self.path / name

    def has(self, name: str) -> bool:
        """Whether a photo is there under one of its names."""
        return self.find(name) is not None

    def _spellings(self, name: str) -> list[str]:
        if self.family == "coco":
            return [name, name.removeprefix(_COCO_PREFIX)] if name.startswith(_COCO_PREFIX) else [name]
        if self.family == "saiapr" and (number := name.partition(".")[0]).isdecimal():
            return [name, f"{int(number) // 1000:02d}/images/{name}"]  # as the whole of SAIAPR TC-12 is distributed
        if self.family == "genome":
            return [name, f"VG_100K/{name}", f"VG_100K_2/{name}"]  # as Visual Genome is distributed
        return spellings(name)


def spellings(name: str) -> list[str]:
    """The names below a folder that a file name of an annotation tool may mean, the likeliest first.

    The name may be relative, absolute, of Windows, or an address; of each the file itself is looked for with fewer and
    fewer of the folders that it names, as long as something is left.

    Args:
        name: as the annotations have it.

    Returns:
        The name as it is, and then others.
    """
    text = name.replace("\\", "/")
    if _ADDRESS.match(text) or "?d=" in text:
        parts = urlsplit(text)
        # Label Studio serves local files as /data/local-files/?d=FOLDER/NAME
        text = parse_qs(parts.query).get("d", [unquote(parts.path)])[0]
    text = _DRIVE.sub("", text, count=1) if _DRIVE.match(text) else text
    pieces = [piece for piece in PurePosixPath(text).parts if piece not in ("/", "..")]
    found = [name, *("/".join(pieces[at:]) for at in range(len(pieces)))]
    if pieces and _UPLOAD.match(pieces[-1]):
        found.append(_UPLOAD.sub("", pieces[-1], count=1))
    if "%" in text:
        found += [unquote(one) for one in found]
    stem, dot, ending = text.rpartition("/")[2].rpartition(".")
    if stem and dot:  # a camera's .JPG that another system calls .jpg
        found += [one[: -len(ending)] + case for one in found if one.endswith(ending) for case in _cases(ending)]
    if not name.isascii():  # macOS writes an accent as a separate letter
        found += [unicodedata.normalize(form, one) for form in ("NFC", "NFD") for one in found[:]]
    # Only the name as it stands may lead out of the folder.
    inside = (one for one in found if one and not one.startswith("/") and ".." not in PurePosixPath(one).parts)
    return list(dict.fromkeys([name, *inside]))


def shared_ends(names: Iterable[str]) -> frozenset[str]:
    """The ends that names of different photos have in common.

    Of ``left/1.jpg`` and ``right/1.jpg`` this is ``1.jpg``. A file of that name is one of the two photos, and nobody
    knows which. Two addresses that differ only after the ``?`` are of one photo.

    Args:
        names: of photos, as the annotations have them.
    """
    by_last: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        by_last.setdefault(_last_part(name), []).append(name)
    counts: Counter[str] = Counter()
    for group in by_last.values():
        if len(group) > 1:
            photos = {photo_of(name): spellings(name) for name in group}
            counts.update(end for ends in photos.values() for end in ends)
    return frozenset(end for end, count in counts.items() if count > 1)


def photo_of(name: str) -> str:
    """The name of a photo in one spelling, equal where two names are certainly of one photo.

    Args:
        name: as the annotations have it; of an address what follows the ``?`` says nothing about the photo.
    """
    text = name.replace("\\", "/")
    return PurePosixPath(text if "?d=" in text else text.partition("?")[0]).as_posix()


def _last_part(name: str) -> str:
    """The last part of a name, equal for all names that may lead to the same file."""
    text = name.replace("\\", "/")
    if "?" in text or "%" in text or not text.isascii():
        text = unicodedata.normalize("NFC", unquote(spellings(name)[-1]))
    last = text.rpartition("/")[2].lower()
    return _UPLOAD.sub("", last, count=1)


def _cases(ending: str) -> list[str]:
    return [case for case in (ending.lower(), ending.upper()) if case != ending]


def fullest_folder(
    candidates: Iterable[Path],
    names: Sequence[str],
    family: str = "own",
    holds_any: Callable[[Path], bool] | None = None,
) -> PhotoFolder | None:
    """The folder that holds most of the photos.

    A sample from the whole length of the list decides, so that no single photo does. Where no folder holds any photo of
    the sample, all names are looked up.

    Args:
        candidates: the folders, the likeliest first; those that do not exist are passed over.
        names: of the photos, as the annotations have them.
        family: see PhotoFolder.
        holds_any: without names, whether a folder will do.

    Returns:
        The folder, the first of equal ones; None where none holds any of the photos.
    """
    shared = frozenset() if family in _FAMILIES else shared_ends(names)
    folders = [PhotoFolder(path, family, shared) for path in dict.fromkeys(candidates) if _is_dir(path)]
    if not names:
        return next((folder for folder in folders if holds_any is not None and holds_any(folder.path)), None)
    sample = names[:: max(1, len(names) // _SAMPLE)][:_SAMPLE]
    for probes in (sample, names) if len(sample) < len(names) else (sample,):
        best: tuple[tuple[int, int], PhotoFolder] | None = None
        for folder in folders:
            found = [(name, path) for name in probes if (path := folder.find(name)) is not None]
            exact = sum(path == folder.path / name for name, path in found)
            if found and (best is None or (len(found), exact) > best[0]):
                best = (len(found), exact), folder
            if exact == len(probes):
                break
        if best is not None:
            return best[1]
        # All names are looked up only where there are pictures at all: with many photos and no folder it takes seconds.
        folders = [folder for folder in folders if _holds_pictures(folder.path)]
    return None


def holds_file(folder: Path, name: str) -> bool:
    """Whether a folder holds a file of exactly this name, which may be of any length."""
    return _is_file(folder / name)


def folders_below(place: Path) -> list[Path]:
    """The folders of a folder, in the order of their names; not more than a data set has, and none where it is none."""
    try:
        return sorted(path for path in place.iterdir() if path.is_dir())[:_MOST_FOLDERS]
    except OSError:
        return []


def _holds_pictures(path: Path) -> bool:
    """Whether a folder, or one in it, holds a file that is called as pictures are; of large ones the first are seen."""
    try:
        entries = list(islice(os.scandir(path), _MOST_ENTRIES))
        inner = [entry for folder in entries if folder.is_dir() for entry in islice(os.scandir(folder), _MOST_ENTRIES)]
    except OSError:
        return False
    return any(entry.name.lower().endswith(_PICTURES) for entry in (*entries, *inner))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that is too long, or has a zero byte, names no file
        return False


def _is_dir(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False
