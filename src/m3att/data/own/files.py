"""Finds one's own data: the file of a split and the folder of the photos, in the layouts that tools export."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from m3att.data.fields import SPLIT_NAMES
from m3att.data.own.content import Content
from m3att.data.photos import folders_below, fullest_folder, holds_file, shared_ends
from m3att.errors import DataError, SplitError, counted

_SPLIT_WORDS = {**{name.lower(): name for name in SPLIT_NAMES}, "valid": "val", "validation": "val", "dev": "val"}
_FILE_FOLDERS = ("annotations", "labels", "Annotations", "annotation")
_PHOTO_FOLDERS = ("images", "imgs", "photos", "data", "JPEGImages", "img", "Images")
_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".xz", ".bz2", ".zst", ".7z", ".rar")
_MOST_WORDS = 300  # letters of a message that list folders


def split_of_file(path: Path, place: Path | None = None) -> str | None:
    """The split that a file's name states, or else the folder that it lies in.

    Args:
        path: the file; of ``instances_train2017.json`` the first or last word counts.
        place: what the user names; the names of folders below it count too.

    Returns:
        ``val`` however validation is called, the other splits by their names, None where neither states one.
    """
    words = [word.lower() for word in re.split(r"[^A-Za-z]+", path.stem) if word]
    known = {_SPLIT_WORDS[word] for word in (words[:1] + words[-1:]) if word in _SPLIT_WORDS}
    if len(known) == 1:
        return known.pop()
    return None if place is None or path.parent == place else _SPLIT_WORDS.get(path.parent.name.lower())


def file_of_split(place: Path, suffix: str, split: str) -> tuple[Path, str | None]:
    """The file that holds a split.

    Args:
        place: a file, or a folder with one file a split (``train.jsonl``, ``annotations/instances_train2017.json``,
            ``train/_annotations.coco.json``) or with a single file.
        suffix: of the files, as ``.jsonl``.
        split: the one wanted.

    Returns:
        The file, and the split that its name states, if any.

    Raises:
        DataError: where there is no such file, or nothing tells which of several it is.
    """
    if place.is_file():
        return place, None
    files = own_files(place, suffix)
    wanted = _SPLIT_WORDS.get(split.lower(), split)
    named = [path for path in files if split_of_file(path, place) == wanted]
    # COCO itself has captions and key points of the same split beside the instances.
    best = [path for path in named if path.stem == split] or [path for path in named if "instances" in path.stem]
    if len(best or named) == 1:
        return (best or named)[0], split
    found = ", ".join(path.relative_to(place).as_posix() for path in files[:6]) or f"no {suffix} file"
    if named:
        raise DataError(f"{place}: several files are of split {split}; name one of them: {found}")
    if len(files) == 1 and split_of_file(files[0], place) is None:  # a lone train.jsonl is not all there should be
        return files[0], None
    raise SplitError(f"{place}: has no {split}{suffix}, but {found}; add that file, or name one file as --data.root")


def refuse_archive(place: Path) -> None:
    """Refuse what a tool lets one download and nobody has unpacked yet.

    Args:
        place: what the user names as file or folder of the data.

    Raises:
        DataError: where it is a packed file; its name tells.
    """
    if place.is_file() and place.suffix.lower() in _ARCHIVES:
        raise DataError(f"{place}: is a packed file; unpack it, and name the folder that it was unpacked to")


def own_files(place: Path, suffix: str) -> list[Path]:
    """The files of a folder that hold expressions, in the order of their names.

    Those of ``annotations/`` and then those of folders that are named as splits count where the folder itself has none.

    Args:
        place: the folder.
        suffix: of the files, as ``.jsonl``.

    Raises:
        DataError: where there is no such folder.
    """
    if not place.is_dir():
        raise DataError(f"{place}: no such file or folder")
    splits = [folder for folder in folders_below(place) if folder.name.lower() in _SPLIT_WORDS]
    for folders in ([place], [place / name for name in _FILE_FOLDERS], splits):
        found = [
            path
            for folder in folders
            if folder.is_dir()
            for path in folder.iterdir()
            if path.suffix == suffix and path.name != "extra.json"
        ]
        if found:
            return sorted(found)
    return []


def with_photos(content: Content, path: Path, split: str | None = None, image_root: Path | None = None) -> Content:
    """Finds the folder of the photos.

    Args:
        content: with the folder that its file states, or the file's own, as ``image_root``.
        path: the file of the annotations.
        split: what its name states.
        image_root: the folder that the user names; then no other is looked into.

    Returns:
        The records with the folder that holds most of the photos; as they came, where none holds any.

    Raises:
        DataError: where the user names no folder, or one without any of the photos.
    """
    names = photo_names(content)
    if image_root is not None and not image_root.is_dir():
        raise DataError(f"{image_root}: no such folder of images; check --image-root")
    if not names:
        return content
    candidates = list(_candidates(content.image_root, path, split, image_root))
    found = fullest_folder(candidates, names, content.family)
    if found is None and image_root is not None:
        raise lost_photos(content, path, split, image_root)
    # Masks in files of their own lie where the file says, wherever the photos are.
    if found is None:
        return content
    return replace(content, image_root=found.path, mask_root=content.image_root, shared_ends=found.shared)


def with_found_names(content: Content) -> Content:
    """The records with file names that any program finds.

    A name that leads to no file as it stands, as an address or a path of another machine, becomes the name under which
    the photo was found.

    Args:
        content: with the folder in which its photos were found.
    """
    entries: list[dict[str, Any]] = []
    for entry in content.instances["images"]:
        name = entry.get("file_name")
        path = content.photos.find(name) if isinstance(name, str) and name and content.family == "own" else None
        if path is not None and path != content.image_root / name:
            entry = {**entry, "file_name": path.relative_to(content.image_root).as_posix()}
        entries.append(entry)
    return replace(content, instances={**content.instances, "images": entries})


def photo_names(content: Content) -> list[str]:
    """The file names of a data set's images."""
    names = (entry.get("file_name") for entry in content.instances["images"])
    return [name for name in names if isinstance(name, str) and name]


def lost_photos(content: Content, path: Path, split: str | None = None, image_root: Path | None = None) -> DataError:
    """What is to be said where none of a data set's photos is at hand.

    Args:
        content: the records.
        path: the file of the annotations.
        split: what its name states.
        image_root: the folder that the user names.
    """
    names = photo_names(content)
    tried = [
        str(one) for one in dict.fromkeys(_candidates(content.image_root, path, split, image_root)) if one.is_dir()
    ]
    shown = [one for at, one in enumerate(tried) if sum(map(len, tried[: at + 1])) + 2 * at < _MOST_WORDS] or tried[:1]
    more = f" and {len(tried) - len(shown)} more" if len(tried) > len(shown) else ""
    advice = "give the folder that holds them" if image_root is not None else "give their folder"
    first = f", the first is {names[0]!r:.80}" if names else ""
    unclear = next((end for end in sorted(shared_ends(names)) for one in tried if holds_file(Path(one), end)), None)
    if unclear is not None:
        advice = f"keep their folders, since {unclear!r:.80} may be any of several photos, or {advice}"
    return DataError(
        f"{str(path)[-100:]}: none of its {counted(len(names), 'photo')} is there{first}; looked in "
        f"{', '.join(shown)[:_MOST_WORDS]}{more}: {advice} as --image-root"
    )


def no_photo(path: Path) -> str:
    """What is to be said of a photo that is not where it should be."""
    return f"{path}: no such image"


def _candidates(stated: Path, path: Path, split: str | None, image_root: Path | None) -> Iterator[Path]:
    """Folders that may hold the photos of a file, the likeliest first."""
    words = _words_of(path, split)
    if image_root is not None:
        yield from _around(image_root, words)
        yield from folders_below(image_root)
        return
    home = path.parent
    yield stated
    yield from _around(home, words)
    if home.name.lower() in {name.lower() for name in _FILE_FOLDERS}:
        homes = [home, home.parent]
        yield from _around(home.parent, [*words, ""])
    else:
        homes = [home]
        for folder in _PHOTO_FOLDERS:
            yield from (home.parent / folder / word for word in ["", *words, home.name])
        yield from (home.parent / word for word in words)
    for one in homes:
        yield from folders_below(one)
        for name in _PHOTO_FOLDERS:
            yield from folders_below(one / name)


def _around(home: Path, words: Sequence[str]) -> Iterator[Path]:
    yield home
    for folder in _PHOTO_FOLDERS:
        yield home / folder
    for word in words:
        yield home / word
        for folder in _PHOTO_FOLDERS:
            yield from (home / folder / word, home / word / folder)


def _words_of(path: Path, split: str | None) -> list[str]:
    """What a folder of photos may be called after: ``train2017`` and ``train`` of ``instances_train2017.json``."""
    words = [path.stem]
    for piece in re.split(r"[_.\-]", path.stem):
        words += [piece, piece.rstrip("0123456789")]
    words += [split or "", split_of_file(path) or ""]
    words += ["valid", "validation"] if "val" in words else []
    return [word for word in dict.fromkeys(words) if word and word not in (".", "..")]
