"""Label Studio's JSON export: tasks whose regions are outlined in per cent, by polygon, ellipse or brush, or boxed."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from m3att.data.images import MAX_PIXELS, decode_mask, to_opaque
from m3att.data.masks import encode_rle
from m3att.data.own.collected import Outline, area_of, corners_of
from m3att.data.own.content import read_json
from m3att.data.own.expressions import CATEGORY, lines_of, no_expressions
from m3att.data.own.shapes import ellipse, rectangle
from m3att.errors import DataError, ImageError, shown

_IMAGE_FIELDS = ("image", "img", "photo", "picture", "image_url", "url")
_LABELS = (
    "polygonlabels", "brushlabels", "rectanglelabels", "ellipselabels", "bitmasklabels", "vectorlabels", "labels",
)  # fmt: skip


def is_label_studio(data: Any) -> bool:
    """Whether this is a list of Label Studio's tasks."""
    return (
        isinstance(data, list)
        and bool(data)
        and all(isinstance(task, dict) for task in data[:5])
        and isinstance(data[0].get("data"), dict)
        and "annotations" in data[0]
    )


def coco_of_label_studio(path: Path, field: str | None = None) -> tuple[dict[str, Any], dict[str, int]]:
    """The tasks of an export as a COCO json with ``expressions``.

    Of a region the texts of its own text area (``perRegion``) are the expressions, or else its note (``meta``). Of
    several annotations of a task the one that is marked as ground truth counts, or else the last that was not skipped.
    A task may list several images; each region then says which of them it is of.

    Args:
        path: the export (format JSON).
        field: the text area that holds the expressions (its ``from_name``), or ``category`` for the labels; None: all.

    Returns:
        The json, and what had to be left out with the number of expressions that it costs.

    Raises:
        DataError: where it is no such export, or no region has an expression.
    """
    tasks = read_json(path)
    if not is_label_studio(tasks):
        raise DataError(
            f"{path}: holds no tasks of Label Studio; export them as JSON (JSON-MIN does not say which text is whose)"
        )
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    categories: dict[str, int] = {}
    faults: dict[str, int] = {}
    seen_fields: list[str] = []
    for number, task in enumerate(tasks):
        task = task if isinstance(task, dict) else {}
        which, names = f"{path}: task {shown(task.get('id', number), 40)}", _images_of(task)
        if not names:
            faults[f"{which} names no image"] = 0
            continue
        chosen, passed = _chosen(task)
        if passed:
            faults[f"{which} has {passed + 1} annotations; the last, or the one marked as ground truth, is read"] = 0
        split = task["data"].get("split")
        stated = {"split": split} if isinstance(split, str) else {}
        own: list[dict[str, Any]] = [
            {"id": len(images) + at, "file_name": name, **stated} for at, name in enumerate(names, start=1)
        ]
        images += own
        regions = _regions(chosen, field, seen_fields)
        tags = dict.fromkeys(shown(region["to_name"], 40) for region, _, _ in regions if "to_name" in region)
        if len(tags) > 1:
            lost = sum(len(lines_of(label) if field == CATEGORY else texts) for _, label, texts in regions)
            faults[f"{which} has regions of {len(tags)} images, {', '.join(tags)}; give each image a task"] = lost
            continue
        for region, label, texts in regions:
            expressions = lines_of(label) if field == CATEGORY else texts
            try:
                image = own[region.get("item_index") or 0]
                size, area = _area_of(region)
            except (DataError, ImageError, KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
                known = isinstance(error, DataError | ImageError)
                why = error if known else "its outline is not what Label Studio writes"
                faults[f"{which}, region {shown(region.get('id'), 40)}: {why}"] = len(expressions)
                continue
            image.setdefault("height", size[0])
            image.setdefault("width", size[1])
            category = categories.setdefault(label, len(categories) + 1) if label is not None else None
            annotations.append({
                "id": len(annotations) + 1,
                "image_id": image["id"],
                "iscrowd": 0,
                **area,
                **({"category_id": category} if category is not None else {}),
                **({"expressions": expressions} if expressions else {}),
            })  # fmt: skip
    if not any("expressions" in entry for entry in annotations) and not any(faults.values()):
        raise no_expressions(path, seen_fields, field)
    listed = [{"id": id_, "name": name} for name, id_ in categories.items()]
    return {"images": images, "annotations": annotations, "categories": listed}, faults


_BRUSH_SIZES = (3, 4, 8, 16)  # bits of the lengths of runs, as Label Studio's own tools write them


def encode_brush(mask_HW: NDArray[np.bool_]) -> list[int]:
    """A mask as the ``rle`` of a brush region, pixel for pixel; see `decode_brush`.

    Args:
        mask_HW: bool, (H, W).

    Returns:
        Bytes from 0 to 255. All four channels of a pixel in the mask are 255.
    """
    mask_P = mask_HW.ravel()
    starts = np.flatnonzero(np.diff(mask_P, prepend=~mask_P[:1]))
    lengths = 4 * np.diff(starts, append=len(mask_P))
    bits = [f"{4 * len(mask_P):032b}", f"{8 - 1:05b}", *(f"{size - 1:04b}" for size in _BRUSH_SIZES)]
    for length, inside in zip(lengths.tolist(), mask_P[starts].tolist(), strict=True):
        while length > 0:
            run = min(length, 2 ** _BRUSH_SIZES[-1])
            which, size = next((at, size) for at, size in enumerate(_BRUSH_SIZES) if run <= 2**size)
            bits.append(f"1{which:02b}{run - 1:0{size}b}{255 * inside:08b}")
            length -= run
    text = "".join(bits)
    text += "0" * (-len(text) % 8)
    return list(int(text, 2).to_bytes(len(text) // 8, "big"))


def decode_brush(packed: Iterable[int], height: int, width: int) -> NDArray[np.bool_]:
    """The mask of a brush region.

    Args:
        packed: the bytes of its ``rle``: 32 bits of the count, 5 of the word size, 4 x 4 of the sizes of lengths; then
            blocks of one repeated word or of several words. The words are RGBA; the mask is where alpha is not 0.
        height: of the image, pixels.
        width: of the image, pixels.

    Returns:
        bool, (H, W).

    Raises:
        DataError: where the bytes are none, or of another size.
    """
    bits = "".join(f"{byte:08b}" for byte in bytes(packed))
    at = 0

    def take(count: int) -> int:
        nonlocal at
        if at + count > len(bits):
            raise DataError("its brush strokes are cut short")
        at += count
        return int(bits[at - count : at], 2)

    total, word = take(32), take(5) + 1
    sizes = [take(4) + 1 for _ in range(4)]
    if total != 4 * height * width or word != 8:
        raise DataError(f"its brush strokes are of {total} numbers, not of an image of {width} x {height}")
    values = np.zeros(total, dtype=np.uint8)
    done = 0
    while done < total:
        repeated, count = take(1), take(sizes[take(2)]) + 1
        if repeated:
            values[done : done + count] = take(word)
        else:
            values[done : done + count] = [take(word) for _ in range(count)][: total - done]
        done += count
    mask_HW: NDArray[np.bool_] = values.reshape(height, width, 4)[:, :, 3] > 0
    return mask_HW


def _images_of(task: Mapping[str, Any]) -> list[str]:
    """The names of a task's images: the usual field, or the only text that ends as images do, or a list of these.

    Where the task has neither, it is the uploaded file. Empty where there is none.
    """
    data = task.get("data")
    if not isinstance(data, dict):
        return []
    texts = {name: value for name, value in data.items() if isinstance(value, str) and value}
    named = [texts[name] for name in _IMAGE_FIELDS if name in texts]
    found = [*named, *filter(_is_image, texts.values())]
    if found:
        return found[:1]
    for value in data.values():
        if isinstance(value, list) and value and all(isinstance(one, str) and _is_image(one) for one in value):
            return list(value)
    upload = task.get("file_upload")
    return [upload] if isinstance(upload, str) and upload else []


def _is_image(text: str) -> bool:
    endings = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")
    return text.partition("?")[0].lower().endswith(endings)


def _chosen(task: Mapping[str, Any]) -> tuple[Mapping[str, Any], int]:
    """The annotation of a task that counts, and how many others there are."""
    every = task.get("annotations")
    listed = every if isinstance(every, list) else []
    kept = [one for one in listed if isinstance(one, dict) and not one.get("was_cancelled")]
    if not kept:
        return {}, 0
    return next((one for one in kept if one.get("ground_truth")), kept[-1]), len(kept) - 1


def _regions(
    annotation: Mapping[str, Any], field: str | None, seen_fields: list[str]
) -> list[tuple[Mapping[str, Any], str | None, list[str]]]:
    """The regions of an annotation with label and texts; names of text areas are added to ``seen_fields``.

    An outline that was drawn by a tool without labels has its label in an entry of its own, under the same id.
    """
    results = annotation.get("result")
    entries = (
        [one for one in results if isinstance(one, dict) and isinstance(one.get("value"), dict)]
        if isinstance(results, list)
        else []
    )
    texts: dict[Any, list[str]] = {}
    regions: dict[Any, Mapping[str, Any]] = {}
    labels: dict[Any, str] = {}
    for number, one in enumerate(entries):
        if one.get("type") in ("textarea", "choices"):
            seen_fields.append(str(one.get("from_name")))
            if one["type"] == "textarea" and field in (None, one.get("from_name")):
                texts.setdefault(one.get("id"), []).extend(lines_of(one["value"].get("text")))
        elif one.get("original_width") is not None:
            id_, value = one.get("id", f"region {number}"), one["value"]
            regions.setdefault(id_, one)
            given = next((value[key][0] for key in _LABELS if isinstance(value.get(key), list) and value[key]), None)
            if given is not None:
                labels.setdefault(id_, str(given))
    found = []
    for id_, region in regions.items():
        meta = region.get("meta")
        note = lines_of(meta.get("text")) if isinstance(meta, dict) and field is None else []
        found.append((region, labels.get(id_), texts.get(id_) or note))
    return found


def _area_of(region: Mapping[str, Any]) -> tuple[tuple[int, int], dict[str, Any]]:
    """The size of a region's image (height, width), and its mask or box as a COCO json has it."""
    width, height, value = int(region["original_width"]), int(region["original_height"]), region["value"]
    if min(width, height) < 1 or width * height > MAX_PIXELS:
        raise DataError(f"it is drawn on an image of {width} x {height}")
    if not {"rle", "imageDataURL", "vertices", "points", "radiusX"} & set(value) and {"width", "height"} <= set(value):
        x, y = width / 100, height / 100
        sides = float(value["width"]) * x, float(value["height"]) * y
        drawn = rectangle(value["x"] * x, value["y"] * y, *sides, float(value.get("rotation") or 0))
        return (height, width), area_of([], [corners_of(drawn)])
    return (height, width), area_of([_outline_of(region, height, width)])


def _outline_of(region: Mapping[str, Any], height: int, width: int) -> Outline:
    """The outline of a region that is no rectangle."""
    value, x, y = region["value"], width / 100, height / 100
    if "rle" in value:
        return encode_rle(decode_brush(value["rle"], height, width))
    if "imageDataURL" in value:  # black on transparent ground
        return _bitmap(str(value["imageDataURL"]), height, width)
    if "vertices" in value:
        return _closed_vector(value, x, y)
    if "points" in value:
        return [float(side) * (x, y)[at % 2] for p in value["points"] for at, side in enumerate(p)]
    if "radiusX" in value:
        radii = float(value["radiusX"]) * x, float(value["radiusY"]) * y
        return ellipse(value["x"] * x, value["y"] * y, *radii, float(value.get("rotation") or 0))
    raise DataError(f"a region of type {shown(region.get('type'), 40)} encloses nothing")


def _bitmap(address: str, height: int, width: int) -> dict[str, Any]:
    """The run lengths of a bitmask region, a PNG as ``data:image/png;base64,...``."""
    try:
        mask_HW = decode_mask(base64.b64decode(address.partition(",")[2], validate=True), "its bitmask", to_opaque)
    except binascii.Error:
        raise DataError("its bitmask is no base64 of a picture") from None
    if mask_HW.shape != (height, width):
        raise DataError(f"its bitmask is {mask_HW.shape[1]} x {mask_HW.shape[0]}, but the image {width} x {height}")
    return encode_rle(mask_HW)


def _closed_vector(value: Mapping[str, Any], x: float, y: float) -> list[float]:
    """The polygon of a vector region whose last point is joined to the first.

    Args:
        value: of the region.
        x: pixels of a per cent of the image's width.
        y: pixels of a per cent of its height.
    """
    points = value["vertices"]
    if not value.get("closed"):
        raise DataError("a vector that is not closed encloses nothing")
    if any(point.get("isBezier") for point in points):
        raise DataError("a vector with curves is not read; draw it with straight lines, or as a polygon")
    ids = [point.get("id") for point in points]
    if any(point.get("prevPointId") not in (None, before) for point, before in zip(points[1:], ids, strict=False)):
        raise DataError("a vector with branches encloses no single area")
    return [side for point in points for side in (float(point["x"]) * x, float(point["y"]) * y)]
