"""labelme's files: one json beside each photo, whose shapes carry a description."""

from __future__ import annotations

import base64
import binascii
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from m3att.data.annotation import as_path
from m3att.data.images import decode_mask
from m3att.data.own.collected import Corners, Outline, area_of, corners_of, mask_at
from m3att.data.own.content import read_json
from m3att.data.own.expressions import CATEGORY, found_expressions, lines_of, no_expressions
from m3att.data.own.files import split_of_file
from m3att.data.own.shapes import ellipse
from m3att.errors import DataError, ImageError, shown


def is_labelme(data: Any) -> bool:
    """Whether this is what labelme writes beside a photo."""
    return isinstance(data, dict) and isinstance(data.get("shapes"), list) and "imagePath" in data


def labelme_files(place: Path) -> list[Path]:
    """The json files of a folder and of all folders below it, or a single file.

    Raises:
        DataError: where there is no such file or folder.
    """
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise DataError(f"{place}: no such file or folder")
    return sorted(path for path in place.rglob("*.json") if path.is_file())


def coco_of_labelme(place: Path, field: str | None = None) -> tuple[dict[str, Any], dict[str, int]]:
    """labelme's files as a COCO json with ``expressions``.

    A shape's description is its expression, several stand one a line. Shapes of one label and one ``group_id`` are
    parts of one object. A folder called ``train``, ``val`` ... below the place is a split.

    Args:
        place: a file, or a folder of any depth.
        field: the field of a shape that holds the expressions, or ``category`` for its label; None: the usual ones.

    Returns:
        The json, whose file names start from the place, and what had to be left out with the number of expressions
        that it costs.

    Raises:
        DataError: where there is no such file, or no shape has an expression.
    """
    root = place.parent if place.is_file() else place
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    categories: dict[str, int] = {}
    faults: dict[str, int] = {}
    seen_fields: dict[str, None] = {}
    for path in labelme_files(place):
        data = read_json(path)
        if not is_labelme(data):
            if place.is_file():
                raise DataError(f"{path}: holds no shapes of labelme; is it one of its files?")
            continue  # something else that lies there
        if not isinstance(data["imagePath"], str) or not data["imagePath"]:
            faults[f"{path}: names no image"] = 0
            continue
        name = Path(os.path.normpath(path.parent / as_path(data["imagePath"])))
        image: dict[str, Any] = {"id": len(images) + 1, "file_name": Path(os.path.relpath(name, root)).as_posix()}
        if isinstance(data.get("imageHeight"), int) and isinstance(data.get("imageWidth"), int):
            image |= {"height": data["imageHeight"], "width": data["imageWidth"]}
        split = next((found for folder in path.parents if (found := _split_of_folder(folder, root)) is not None), None)
        images.append({**image, **({} if split is None else {"split": split})})
        for at, shapes in _objects(data["shapes"]):
            label = shapes[0].get("label")
            texts = [text for shape in shapes for text in found_expressions(shape, field)]
            seen_fields |= dict.fromkeys(key for key, value in shapes[0].items() if isinstance(value, str) and value)
            expressions = lines_of(label) if field == CATEGORY else list(dict.fromkeys(texts))
            try:
                parts = [_part(shape, image.get("height"), image.get("width")) for shape in shapes]
            except (DataError, ImageError) as error:
                faults[f"{path}: shape {at}: {error}"] = len(expressions)
                continue
            except (KeyError, TypeError, ValueError, IndexError, OverflowError, binascii.Error):
                faults[f"{path}: shape {at} is not what labelme writes"] = len(expressions)
                continue
            category = categories.setdefault(str(label), len(categories) + 1)
            annotations.append({
                "id": len(annotations) + 1,
                "image_id": image["id"],
                "category_id": category,
                "iscrowd": 0,
                **area_of(*_outlines_and_boxes(parts)),
                **({"expressions": expressions} if expressions else {}),
            })  # fmt: skip
    if not images:
        raise DataError(f"{place}: holds no file of labelme (a .json with shapes)")
    if not any("expressions" in entry for entry in annotations) and not any(faults.values()):
        raise no_expressions(place, seen_fields, field)
    listed = [{"id": id_, "name": name} for name, id_ in categories.items()]
    return {"images": images, "annotations": annotations, "categories": listed}, faults


def _split_of_folder(folder: Path, root: Path) -> str | None:
    return None if folder == root or root not in folder.parents else split_of_file(Path(folder.name))


def _objects(shapes: list[Any]) -> list[tuple[int, list[dict[str, Any]]]]:
    """The shapes of each object with the number of the first, in their order."""
    found: dict[Any, tuple[int, list[dict[str, Any]]]] = {}
    for at, shape in enumerate(shapes):
        if isinstance(shape, dict):
            group = shape.get("group_id")
            key = ("shape", at) if group is None else (str(shape.get("label")), str(group))
            found.setdefault(key, (at, []))[1].append(shape)
    return list(found.values())


def _outlines_and_boxes(parts: list[Outline | Corners]) -> tuple[list[Outline], list[Corners]]:
    return [one for one in parts if not isinstance(one, tuple)], [one for one in parts if isinstance(one, tuple)]


def _part(shape: Mapping[str, Any], height: int | None, width: int | None) -> Outline | Corners:
    """A shape as a part of a COCO segmentation (a flat polygon, or run lengths), or the corners of a box."""
    kind = shape.get("shape_type") or "polygon"
    points = [(float(x), float(y)) for x, y in shape["points"]]
    # X-AnyLabeling, which writes labelme's files too, has turned rectangles and rectangles of four corners.
    flat = [side for point in points for side in point]
    if (kind == "rectangle" and len(points) >= 2) or (len(points) >= 3 and kind in ("oriented_rectangle", "rotation")):
        return corners_of(flat)
    if len(points) >= 3 and kind in ("polygon", "quadrilateral"):
        return flat
    if kind == "circle":
        (x, y), rim = points
        return ellipse(x, y, *[math.dist((x, y), rim)] * 2)
    if kind != "mask":
        raise DataError(f"a shape of type {shown(kind, 40)} with {len(points)} points encloses nothing")
    left, top = round(points[0][0]), round(points[0][1])
    box_HW = decode_mask(base64.b64decode(shape["mask"]), "its mask")
    if height and width:  # a mask that was moved over the edge: labelme 7.9 cuts it there too (labelme/_utils/_mask.py)
        box_HW = box_HW[max(-top, 0) : max(height - top, 0), max(-left, 0) : max(width - left, 0)]
        if box_HW.size == 0:
            raise DataError("its mask does not lie inside the image")
        left, top = max(left, 0), max(top, 0)
    return mask_at(box_HW, left, top, height or 0, width or 0)
