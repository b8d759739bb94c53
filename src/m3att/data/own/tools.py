"""One's own data as annotation tools export them: CVAT, Datumaro, Label Studio, labelme, Roboflow, any COCO json."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from m3att.data.fields import text_field
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


class Tool(NamedTuple):
    """An annotation tool whose files are no COCO json.

    Args:
        suffix: of its files.
        to_coco: makes a COCO json of a file (of labelme: also of a folder) and of the field with the expressions;
            returns it with what had to be left out and the number of expressions that it costs.
        is_its: whether the content of a json is a file of this tool; None where the suffix tells.
        folder_is_data: whether a folder is one data set as a whole, and not a place with a file for each split.
    """

    suffix: str
    to_coco: Callable[[Path, str | None], tuple[dict[str, Any], dict[str, int]]]
    is_its: Callable[[Any], bool] | None = None
    folder_is_data: bool = False


CONVERTED = {
    "cvat": Tool(".xml", coco_of_cvat),
    "datumaro": Tool(".json", coco_of_datumaro, is_datumaro),
    "label_studio": Tool(".json", coco_of_label_studio, is_label_studio),
    "labelme": Tool(".json", coco_of_labelme, is_labelme, folder_is_data=True),
}
"""The tools, by the names that `data.dataset` gives them."""


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


def open_converted(
    name: str, root: Path, split: str, image_root: Path | None = None, field: str | None = None
) -> CustomSource:
    """What an annotation tool wrote.

    Args:
        name: of the tool in `CONVERTED`.
        root: a file, or a folder that holds one, or one a split. Of labelme: a folder of files, in which folders that
            are named as splits are splits, or a single file.
        split: which expressions.
        image_root: folder of the photos; None: where the files say, or looked for.
        field: where the expressions stand; see the function of the tool, such as `cvat.coco_of_cvat`.

    Raises:
        DataError: as open_coco does.
    """
    if CONVERTED[name].folder_is_data:
        place, stated = root, None
        beside = root if root.is_file() else root / name  # photos are looked for beside this path
    else:
        place, stated = file_of_split(root, CONVERTED[name].suffix, split)
        beside = place
    content = with_photos(_of_tool(name, place, stated, field), beside, stated, image_root)
    return source_of(content, beside, split, stated, image_root)


def content_of_tool(place: Path, split: str | None = None, field: str | None = None) -> Content:
    """The records of a file of any of the tools, which its content tells, or of a folder of labelme's files.

    Args:
        place: the file or folder.
        split: what the file's name states.
        field: where the expressions stand; see `expressions.with_attributes`.

    Raises:
        DataError: where it is missing, none of these forms, or has no expression.
    """
    tool = "labelme" if place.is_dir() else tool_of(place)
    return _of_coco(place, split, field) if tool is None else _of_tool(tool, place, split, field)


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
    return next((name for name, tool in CONVERTED.items() if tool.is_its is not None and tool.is_its(data)), None)


def _of_coco(path: Path, split: str | None, field: str | None) -> Content:
    data = read_coco(path)
    # What a conversion has written is read back as it was.
    return content_of_coco(data if ABOUT in data else with_attributes(data, path, field), path, split)


def _of_tool(name: str, place: Path, split: str | None, field: str | None) -> Content:
    data, faults = CONVERTED[name].to_coco(place, field)
    lost = next((reason for reason, cost in faults.items() if cost), None)
    if lost is not None and all(text_field(entry) is None for entry in data["annotations"]):
        raise DataError(f"no object that has an expression can be read: {lost}")
    content = content_of_coco(data, place, split)
    image_root = place if place.is_dir() else content.image_root  # the names of photos start from a folder of files
    return replace(content, image_root=image_root, faults=content.faults | faults)


TOOLS: dict[str, Callable[..., CustomSource]] = {
    "coco": open_coco,
    **{name: partial(open_converted, name) for name in CONVERTED},
}
"""How to open what annotation tools write, by the name that `data.dataset` gives it."""
