"""Datumaro's json: items whose polygons, masks, ellipses and boxes have attributes and captions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from m3att.data.fields import side_of
from m3att.data.own.collected import Collected, Corners, Outline, corners_of
from m3att.data.own.content import read_json
from m3att.data.own.expressions import lines_of
from m3att.data.own.shapes import ellipse, turned_rectangle
from m3att.errors import DataError, shown

_SHAPES = ("polygon", "mask", "ellipse", "bbox")


def is_datumaro(data: Any) -> bool:
    """Whether this is what Datumaro writes."""
    return isinstance(data, dict) and isinstance(data.get("items"), list) and isinstance(data.get("categories"), dict)


def coco_of_datumaro(path: Path, field: str | None = None) -> tuple[dict[str, Any], dict[str, int]]:
    """The items of a json as a COCO json with ``expressions``.

    Annotations of one group are parts of one object; a caption of the group is an expression of it. An object of boxes
    alone has a box and no mask.

    Args:
        path: of the json.
        field: the attribute that holds the expressions, or ``category`` for the labels; None: the usual names.

    Returns:
        The json, and what had to be left out with the number of expressions that it costs.

    Raises:
        DataError: where it is no such file, or no object has an expression.
    """
    data = read_json(path)
    if not is_datumaro(data):
        raise DataError(f"{path}: holds no items and categories of Datumaro")
    labels = _labels(data["categories"])
    collected = Collected(path, field)
    for number, item in enumerate(data["items"]):
        item = item if isinstance(item, dict) else {}
        picture = next((one for key in ("image", "media") if isinstance(one := item.get(key), dict)), {})
        name = picture.get("path") or (f"{item['id']}.jpg" if isinstance(item.get("id"), str) else None)
        if not isinstance(name, str) or not name:
            collected.faults[f"{path}: item {shown(item.get('id', number), 40)} names no image"] = 0
            continue
        size = picture.get("size")
        height, width = size[:2] if isinstance(size, list) and len(size) >= 2 else (0, 0)
        collected.add_image(name, side_of(height), side_of(width))
        for at, members, captions in _objects(item.get("annotations")):
            shapes = [one for one in members if one.get("type") in _SHAPES]
            id_ = (shapes or members)[0].get("label_id")
            label = labels[id_] if isinstance(id_, int) and 0 <= id_ < len(labels) else None
            attributes = [one if isinstance(one := member.get("attributes"), dict) else {} for member in members]
            texts = list(dict.fromkeys([*collected.texts_of(label, attributes), *(captions if field is None else ())]))
            if not shapes:
                if texts:
                    kind = shown(members[0].get("type"), 40)
                    what = f"annotation {at}: one of type {kind} encloses nothing"
                    collected.faults[f"{path}: item {shown(name, 40)}, {what}"] = len(texts)
                continue
            try:
                outlines, boxes = _parts(shapes)
            except (KeyError, TypeError, ValueError, IndexError, OverflowError):
                collected.faults[f"{path}: item {shown(name, 40)}, annotation {at} is not what Datumaro writes"] = len(
                    texts
                )
                continue
            collected.add_object(label, texts, outlines, boxes, any(one.get("is_crowd") is True for one in attributes))
    return collected.coco(), collected.faults


def _labels(categories: Mapping[str, Any]) -> list[str]:
    """The names of the labels by their numbers."""
    label = categories.get("label")
    entries = label.get("labels") if isinstance(label, dict) else None
    return [
        str(one.get("name") if isinstance(one, dict) else one) for one in (entries if isinstance(entries, list) else [])
    ]


def _objects(annotations: Any) -> list[tuple[int, list[dict[str, Any]], list[str]]]:
    """The members of each object (shapes, and what encloses nothing), the number of the first, and its captions."""
    found: dict[Any, tuple[int, list[dict[str, Any]], list[str]]] = {}
    captions: dict[Any, list[str]] = {}
    for at, one in enumerate(annotations if isinstance(annotations, list) else []):
        if not isinstance(one, dict):
            continue
        group = one.get("group") or ("annotation", at)
        key = group if isinstance(group, int | str | tuple) else ("annotation", at)
        if one.get("type") == "caption":
            captions.setdefault(key, []).extend(lines_of(one.get("caption")))
        else:
            found.setdefault(key, (at, [], captions.setdefault(key, [])))[1].append(one)
    return list(found.values())


def _parts(shapes: list[dict[str, Any]]) -> tuple[list[Outline], list[Corners]]:
    """The outlines and the boxes of an object."""
    outlines: list[Outline] = []
    boxes: list[Corners] = []
    for shape in shapes:
        attributes = shape.get("attributes")
        turn = float((attributes if isinstance(attributes, dict) else {}).get("rotation") or 0)
        if shape["type"] == "mask":
            outlines.append({"size": list(shape["rle"]["size"]), "counts": shape["rle"]["counts"]})
        elif shape["type"] == "polygon":
            outlines.append([float(side) for side in shape["points"]])
        elif shape["type"] == "ellipse":  # the corners of the box around it
            left, top, right, bottom = (float(side) for side in shape["points"])
            middle = (left + right) / 2, (top + bottom) / 2
            outlines.append(ellipse(*middle, (right - left) / 2, (bottom - top) / 2, turn))
        else:
            left, top, width, height = (float(side) for side in shape["bbox"])
            boxes.append(corners_of(turned_rectangle(left, top, width, height, turn)))
    return outlines, boxes
