"""CVAT's own XML (CVAT for images 1.1): outlines and boxes whose attributes hold expressions."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import numpy as np

from m3att.data.fields import side_of
from m3att.data.own.collected import Collected, Corners, Outline, corners_of, mask_at
from m3att.data.own.shapes import ellipse, turned_rectangle
from m3att.errors import DataError, shown

_SHAPES = ("polygon", "mask", "ellipse", "box", "polyline", "points", "cuboid", "skeleton", "tag")
_NO_SUBSET = "default"  # what CVAT calls the images of a project that are of none


def coco_of_cvat(path: Path, field: str | None = None) -> tuple[dict[str, Any], dict[str, int]]:
    """The images of an XML as a COCO json with ``expressions``.

    Shapes of one label and one group are parts of one object, as in CVAT's export to COCO. An object of boxes alone has
    a box and no mask.

    Args:
        path: of ``annotations.xml``.
        field: the attribute that holds the expressions, or ``category`` for the labels; None: the usual names.

    Returns:
        The json, and what had to be left out with the number of expressions that it costs.

    Raises:
        DataError: where it is no such file, or no object has an expression.
    """
    collected = Collected(path, field)
    for number, image in enumerate(_root_of(path).iter("image")):
        name, subset = image.get("name"), image.get("subset")
        if not name:
            collected.faults[f"{path}: image {shown(image.get('id', number))} names no file"] = 0
            continue
        height, width = side_of(image.get("height")), side_of(image.get("width"))
        # A project's photos lie in images/SUBSET/, and two subsets may each have a photo of one name.
        placed = f"{subset}/{name}" if subset else name
        collected.add_image(placed, height, width, None if subset == _NO_SUBSET else subset)
        for at, shapes in _objects(image):
            label = shapes[0].get("label")
            texts = collected.texts_of(label, [_attributes(shape) for shape in shapes])
            try:
                outlines, boxes = _parts(shapes, height, width)
            except DataError as error:
                why = str(error)
            except (KeyError, TypeError, ValueError, IndexError, OverflowError):
                why = "it is not what CVAT writes"
            else:
                collected.add_object(label, texts, outlines, boxes)
                continue
            if texts or shapes[0].tag in ("polygon", "mask", "ellipse", "box"):
                collected.faults[f"{path}: image {shown(name, 40)}, {shapes[0].tag} {at}: {why}"] = len(texts)
    return collected.coco(), collected.faults


class _Builder(ElementTree.TreeBuilder):
    """Builds no file that declares entities of its own, which could be made to fill the memory."""

    def doctype(self, name: str, public: str | None, system: str | None) -> None:
        raise DataError("it declares a document type, which CVAT's files do not")


def _root_of(path: Path) -> Element:
    try:
        root = ElementTree.fromstring(path.read_bytes(), ElementTree.XMLParser(target=_Builder()))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    except (ElementTree.ParseError, ValueError, LookupError, DataError) as error:
        raise DataError(f"{path}: not XML of CVAT ({str(error).splitlines()[0]})") from None
    if root.tag != "annotations":
        raise DataError(f"{path}: not XML of CVAT (it holds {shown(root.tag, 40)})")
    if root.find("image") is None:
        what = "tracks of a video" if root.find("track") is not None else "no image"
        raise DataError(f"{path}: holds {what}; export it from CVAT as CVAT for images 1.1, or as COCO 1.0")
    return root


def _attributes(shape: Element) -> dict[str, str]:
    return {str(one.get("name")): one.text or "" for one in shape.findall("attribute")}


def _objects(image: Element) -> list[tuple[int, list[Element]]]:
    """The shapes of each object with the number of the first, in their order."""
    found: dict[Any, tuple[int, list[Element]]] = {}
    for at, shape in enumerate(one for one in image if one.tag in _SHAPES):
        group = shape.get("group_id", "0")
        key = ("shape", at) if group == "0" else (shape.get("label"), group)
        found.setdefault(key, (at, []))[1].append(shape)
    return list(found.values())


def _parts(shapes: Iterable[Element], height: int, width: int) -> tuple[list[Outline], list[Corners]]:
    """The outlines and the boxes of an object."""
    outlines: list[Outline] = []
    boxes: list[Corners] = []
    for shape in shapes:
        numbers = {name: float(value) for name, value in shape.attrib.items() if name in _NUMBERS}
        turn = numbers.get("rotation", 0.0)
        if shape.tag == "polygon":
            points = [point.split(",") for point in shape.attrib["points"].split(";")]
            outlines.append([float(side) for side in chain.from_iterable(points)])
        elif shape.tag == "ellipse":
            outlines.append(ellipse(numbers["cx"], numbers["cy"], numbers["rx"], numbers["ry"], turn))
        elif shape.tag == "mask":
            outlines.append(_brush(shape, height, width))
        elif shape.tag == "box":
            left, top, right, bottom = (numbers[name] for name in ("xtl", "ytl", "xbr", "ybr"))
            boxes.append(corners_of(turned_rectangle(left, top, right - left, bottom - top, turn)))
        else:
            raise DataError(f"a {shape.tag} encloses nothing")
    return outlines, boxes


_NUMBERS = ("rotation", "cx", "cy", "rx", "ry", "xtl", "ytl", "xbr", "ybr")


def _brush(shape: Element, height: int, width: int) -> Outline:
    """A brush mask: runs along the rows of its box, the first of them empty."""
    left, top, across, down = (int(shape.attrib[name]) for name in ("left", "top", "width", "height"))
    lengths = np.array([int(run) for run in shape.attrib["rle"].split(",")], dtype=np.int64)
    if min(across, down) < 1 or lengths.min() < 0 or across > width or int(lengths.sum()) != across * down:
        raise DataError(f"its brush strokes do not fill their box of {across} x {down}")
    covered = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)
    return mask_at(covered.reshape(down, across), left, top, height, width)
