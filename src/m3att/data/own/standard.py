"""Brings records to what the tools of the field read: sizes of images, masks as polygons or run lengths, boxes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from m3att.data.annotation import as_array, decode_segmentation, parts_of
from m3att.data.fields import file_name_of, is_crowd, side_of, stated_mask, states_nothing
from m3att.data.masks import encode_rle, is_polygon, mask_box
from m3att.data.own.content import Content, unique_by_id, without
from m3att.data.own.files import no_photo
from m3att.data.raster import annotated_size
from m3att.errors import DataError, ImageError

Form = Literal["refer", "coco", "jsonl"]
FORMS: tuple[Form, ...] = get_args(Form)
_GIVEN_MASK = "given_mask"
"""Field of an annotation that keeps its run lengths as they were, where another form's tools want them otherwise."""


def with_sizes(content: Content, faults: list[str]) -> Content:
    """Records whose images all state width and height, as COCO's and REFER's tools ask for.

    Where the records state none, the photo says it; ``faults`` gets a line for each that cannot.
    """
    masks: dict[Any, list[Any]] = {}
    for annotation in content.instances["annotations"]:
        if (mask := stated_mask(annotation)) is not None:
            masks.setdefault(annotation["image_id"], []).append(mask)
    entries: list[dict[str, Any]] = []
    for entry in content.instances["images"]:
        name = file_name_of(entry)
        if name and not (side_of(entry.get("height")) and side_of(entry.get("width"))):
            path = content.image_file(name)
            try:
                height, width = _size_of(content, path, masks.get(entry["id"], []))
                entry = {**entry, "height": height, "width": width}
            except ImageError as error:
                faults.append(f"{error}, so its width and height are not known" if path.is_file() else no_photo(path))
        entries.append(entry)
    return replace(content, instances={**content.instances, "images": entries})


def with_drawn_masks(content: Content, form: Form, faults: list[str]) -> Content:
    """Records whose masks are what the tools of a form read.

    COCO's and REFER's tools read lists of flat polygons and run lengths, so all else becomes one of these. In JSON
    Lines only masks in files of their own change, since their names start from another folder. Own records get boxes
    and areas too. A mask that cannot be drawn stays as it is.

    Args:
        content: the records.
        form: what is to be written.
        faults: gets a line for each mask that cannot be drawn.
    """
    images = unique_by_id(content.instances["images"])
    annotations: list[dict[str, Any]] = []
    for written in content.instances["annotations"]:
        annotation = written
        if _GIVEN_MASK in written:
            annotation = {**without(written, _GIVEN_MASK), "segmentation": written[_GIVEN_MASK]}
        image = images.get(annotation["image_id"], {})
        mask, nothing = stated_mask(annotation), states_nothing(annotation)
        sides = side_of(image.get("height")), side_of(image.get("width"))
        is_bare = form != "jsonl" and not content.every_object and "bbox" not in annotation
        # A published set goes back to the REFER layout as it came.
        in_list = form == "refer" and content.dataset == "custom" and not is_crowd(annotation)
        fits = not isinstance(mask, str) if form == "jsonl" else _is_standard(mask, *sides, form, in_list)
        if (mask is None and not nothing) or (fits and not is_bare) or (nothing and content.every_object):
            annotations.append(annotation)
            continue
        try:
            annotations.append({**annotation, **_drawn(content, image, mask, nothing, fits, is_bare, in_list)})
        except (ImageError, DataError) as error:
            faults.append(f"{content.image_file(file_name_of(image))}: annotation {annotation['id']}: {error}")
            annotations.append(annotation)
    return replace(content, instances={**content.instances, "annotations": annotations})


def _size_of(content: Content, path: Path, masks: list[Any]) -> tuple[int, int]:
    """The size of the photo as its masks mean it, upright or as it is stored."""
    return annotated_size(path, None, lambda: [mask for mask in masks if mask is not None], content.mask_roots)


def _drawn(
    content: Content, image: Mapping[str, Any], mask: Any, nothing: bool, fits: bool, is_bare: bool, in_list: bool
) -> dict[str, Any]:
    """The fields of an annotation that tell its mask as polygons or run lengths, and its box where it has none.

    Raises:
        DataError: where the mask cannot be drawn.
        ImageError: where the size is needed, and neither stated nor to be read from the photo.
    """
    height, width = side_of(image.get("height")), side_of(image.get("width"))
    parts = parts_of(mask) if isinstance(mask, list | dict) else []
    known = bool(parts) and all(isinstance(part, dict) or is_polygon(part) for part in parts)
    if not (height and width):
        height, width = (
            canvas_of(parts) if known else _size_of(content, content.image_file(file_name_of(image)), [mask])
        )
    mask_HW = np.zeros((height, width), dtype=np.bool_)
    if not nothing:
        mask_HW = decode_segmentation(mask, height, width, content.mask_roots)
    told: dict[str, Any] = {"no_target": True} if nothing else {}
    if not fits:
        polygons = bool(parts) and all(map(is_polygon, parts)) and as_array(mask, height, width) is None
        code = mask if isinstance(mask, dict) and isinstance(mask.get("counts"), str) else encode_rle(mask_HW)
        told["segmentation"] = parts if polygons else [code] if in_list else code
        if parts and all(isinstance(part, dict) for part in parts):
            told[_GIVEN_MASK] = mask
    if is_bare:
        left, top, right, bottom = mask_box(mask_HW)
        told |= {"bbox": [left, top, right - left, bottom - top], "area": int(mask_HW.sum())}
    return told


def _is_standard(mask: Any, height: int, width: int, form: Form, in_list: bool) -> bool:
    """Whether COCO's and REFER's tools read a mask as it is.

    pycocotools takes run lengths as they are. The refer toolbox takes those of objects compressed and in a list.
    """
    if isinstance(mask, dict):
        return not in_list and isinstance(mask.get("size"), list) and isinstance(mask.get("counts"), list | str)
    if not isinstance(mask, list) or not mask:
        return False
    if all(isinstance(part, dict) for part in mask):
        return form == "refer" and (not in_list or all(isinstance(part.get("counts"), str) for part in mask))
    return all(isinstance(part, list) and is_polygon(part) for part in mask) and as_array(mask, height, width) is None


def canvas_of(mask: Any) -> tuple[int, int]:
    """Height and width that hold a mask: those that run lengths state, or as far as polygons reach."""
    parts = mask if isinstance(mask, list) else [mask]
    sizes = [part["size"] for part in parts if isinstance(part, dict) and isinstance(part.get("size"), list)]
    if sizes and len(sizes[0]) == 2 and all(isinstance(side, int) and 0 < side < 10**5 for side in sizes[0]):
        return sizes[0][0], sizes[0][1]
    points = [np.asarray(part, dtype=np.float64).reshape(-1, 2) for part in parts if is_polygon(part)]
    if not points:
        return 1, 1
    width, height = np.concatenate(points).max(axis=0).tolist()
    return max(1, min(math.ceil(height), 10**5)), max(1, min(math.ceil(width), 10**5))
