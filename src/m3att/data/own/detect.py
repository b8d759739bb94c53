"""Tells what kind of data set a file or folder is, so that nobody has to name it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from m3att.data.own.files import own_files, refuse_archive
from m3att.data.own.shards import TAR
from m3att.data.own.tools import tool_of
from m3att.data.shaperef.world import VARIANTS
from m3att.download import may_be_on_hub
from m3att.errors import DataError

SAVED = ("dataset_dict.json", "state.json")  # what `save_to_disk` of the library datasets leaves in a folder


class Kind(NamedTuple):
    """A data set as the settings name it.

    Args:
        root: of `data.root`; None for scenes that are drawn.
        dataset: of `data.dataset`.
    """

    root: str | None
    dataset: str


def detect(place: str) -> Kind:
    """The kind of a data set.

    Args:
        place: a file or folder of your own data; the folder of a data set in the REFER layout, which holds its refs
            file; the id of a data set on the Hugging Face Hub; or the name of a drawn data set.

    Raises:
        DataError: where there is no such file or folder, or it holds no data set.
    """
    path = Path(place)
    if place in VARIANTS and not path.exists():
        return Kind(None, place)
    if not path.exists():
        if may_be_on_hub(place):
            return Kind(place, "hf")
        raise DataError(f"{place}: no such file or folder")
    if path.suffix == TAR or (path.is_dir() and any(path.glob(f"*{TAR}"))):
        return Kind(place, "shards")
    refuse_archive(path)
    if path.suffix == ".jsonl" or (path.is_dir() and any(path.glob("*.jsonl"))):
        return Kind(place, "jsonl")
    if path.is_dir() and any(path.glob("*refs(*).*")):
        return Kind(str(path.parent), path.name)
    if path.is_dir() and any((path / name).is_file() for name in SAVED):
        return Kind(place, "hf")
    files = [path] if path.is_file() else own_files(path, ".json") or own_files(path, ".xml")
    if not files:
        inside = ", ".join(sorted(one.parent.name for one in path.glob("*/*refs(*).*")))
        advice = f"; name one of its data sets: {inside}" if inside else ""
        raise DataError(f"{place}: holds no json, jsonl or XML with expressions{advice}")
    return Kind(place, tool_of(files[0]) or "coco")
