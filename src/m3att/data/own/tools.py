"""One's own data as annotation tools export them: CVAT, Datumaro, Label Studio, labelme, Roboflow, any COCO json."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from m3att.data.own.coco import ABOUT, content_of_coco, read_coco
from m3att.data.own.content import Content, read_json
from m3att.data.own.cvat import coco_of_cvat
from m3att.data.own.datumaro import coco_of_datumaro, is_datumaro
from m3att.data.own.expressions import with_attributes
from m3att.data.own.files import file_of_split, own_files, with_photos
from m3att.data.own.label_studio import coco_of_label_studio, is_label_studio
from m3att.data.own.labelme import coco_of_labelme, is_labelme
from m3att.data.own.source import CustomSource, source_of
from m3att.errors import DataError


def open_coco(root: Path, split: str, image_root: Path | None = None, field: str | None = None) -> CustomSource:
    """A COCO json with expressions, or a folder that holds ``train.json``, ``val.json`` ... or a single one.

    Args:
        root: the file or folder.
        split: which expressions.
        image_root: folder of the photos; None: looked for in the layouts of `files`.
        field: see `expressions.with_attributes`.

    Raises:
        DataError: where the file is missing or broken, holds nothing of the split, or none of its photos is there.
    """
    if root.suffix == ".xml" or (root.is_dir() and not own_files(root, ".json") and own_files(root, ".xml")):
        raise DataError(f"{root}: holds XML and no COCO json; if CVAT wrote it, give --data.dataset cvat")
    path, stated = file_of_split(root, ".json", split)
    try:
        content = _of_coco(path, stated, field)
    except DataError:
        tool = tool_of(path)
        if tool is not None:
            raise DataError(f"{path}: is no COCO json but a file of {tool}: give --data.dataset {tool}") from None
        raise
    return source_of(with_photos(content, path, stated, image_root), path, split, stated, image_root)


def open_cvat(root: Path, split: str, image_root: Path | None = None, field: str | None = None) -> CustomSource:
    """An XML of CVAT (CVAT for images 1.1), or the unpacked folder that holds it.

    Args:
        root: the file or folder.
        split: which expressions.
        image_root: folder of the photos; None: looked for.
        field: see `cvat.coco_of_cvat`.

    Raises:
        DataError: as open_coco does.
    """
    path, stated = file_of_split(root, ".xml", split)
    content = with_photos(_of_cvat(path, stated, field), path, stated, image_root)
    return source_of(content, path, split, stated, image_root)


def open_datumaro(root: Path, split: str, image_root: Path | None = None, field: str | None = None) -> CustomSource:
    """A json of Datumaro, or a folder that holds one, or one a split.

    Args:
        root: the file or folder.
        split: which expressions.
        image_root: folder of the photos; None: looked for.
        field: see `datumaro.coco_of_datumaro`.

    Raises:
        DataError: as open_coco does.
    """
    path, stated = file_of_split(root, ".json", split)
    content = with_photos(_of_datumaro(path, stated, field), path, stated, image_root)
    return source_of(content, path, split, stated, image_root)


def open_label_studio(root: Path, split: str, image_root: Path | None = None, field: str | None = None) -> CustomSource:
    """A JSON export of Label Studio, or a folder that holds one, or one a split.

    Args:
        root: the file or folder.
        split: which expressions.
        image_root: folder of the photos; None: looked for.
        field: see `label_studio.coco_of_label_studio`.

    Raises:
        DataError: as open_coco does.
    """
    path, stated = file_of_split(root, ".json", split)
    content = with_photos(_of_label_studio(path, stated, field), path, stated, image_root)
    return source_of(content, path, split, stated, image_root)


def open_labelme(root: Path, split: str, image_root: Path | None = None, field: str | None = None) -> CustomSource:
    """A folder of labelme's files; folders below it that are named as splits are splits.

    Args:
        root: the folder, or a single file.
        split: which expressions.
        image_root: folder of the photos; None: where the files say, or looked for.
        field: see `labelme.coco_of_labelme`.

    Raises:
        DataError: as open_coco does.
    """
    inside = root if root.is_file() else root / "labelme"  # what the folder is looked for beside
    content = with_photos(_of_labelme(root, None, field), inside, None, image_root)
    return source_of(content, inside, split, None, image_root)


def content_of_tool(place: Path, split: str | None = None, field: str | None = None) -> Content:
    """The records of a file of any of the tools, which its content tells, or of a folder of labelme's files.

    Args:
        place: the file or folder.
        split: what the file's name states.
        field: where the expressions stand; see `expressions.with_attributes`.

    Raises:
        DataError: where it is missing, none of these forms, or has no expression.
    """
    if place.is_dir():
        return _of_labelme(place, split, field)
    tool = tool_of(place)
    readers = {"cvat": _of_cvat, "datumaro": _of_datumaro, "labelme": _of_labelme, "label_studio": _of_label_studio}
    return (_of_coco if tool is None else readers[tool])(place, split, field)


def tool_of(path: Path) -> str | None:
    """The tool that writes files like this one, where it is no COCO json.

    Args:
        path: a json or XML file.

    Raises:
        DataError: where it is a json that is missing, or no JSON.
    """
    if path.suffix == ".xml":
        return "cvat"
    data = read_json(path)
    tests = {"label_studio": is_label_studio, "labelme": is_labelme, "datumaro": is_datumaro}
    return next((tool for tool, is_its in tests.items() if is_its(data)), None)


def _of_coco(path: Path, split: str | None, field: str | None) -> Content:
    data = read_coco(path)
    # What a conversion has written is read back as it was.
    return content_of_coco(data if ABOUT in data else with_attributes(data, path, field), path, split)


def _of_cvat(path: Path, split: str | None, field: str | None) -> Content:
    data, faults = coco_of_cvat(path, field)
    content = content_of_coco(data, path, split)
    return replace(content, faults=content.faults | faults)


def _of_datumaro(path: Path, split: str | None, field: str | None) -> Content:
    data, faults = coco_of_datumaro(path, field)
    content = content_of_coco(data, path, split)
    return replace(content, faults=content.faults | faults)


def _of_label_studio(path: Path, split: str | None, field: str | None) -> Content:
    data, faults = coco_of_label_studio(path, field)
    content = content_of_coco(data, path, split)
    return replace(content, faults=content.faults | faults)


def _of_labelme(place: Path, split: str | None, field: str | None) -> Content:
    data, faults = coco_of_labelme(place, field)
    content = content_of_coco(data, place, split)
    root = place.parent if place.is_file() else place
    return replace(content, image_root=root, faults=content.faults | faults)


TOOLS = {
    "coco": open_coco,
    "cvat": open_cvat,
    "datumaro": open_datumaro,
    "label_studio": open_label_studio,
    "labelme": open_labelme,
}
"""How to open what annotation tools write, by the name that `data.dataset` gives it."""
