"""The fields of an annotation entry under all their usual names: ids, texts, splits, and which mask it states."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any

from m3att.data.boxes import BOX_FIELDS, CORNER_FIELDS, stated_box
from m3att.errors import DataError, shown

OWN_FORMS = ("jsonl", "coco", "cvat", "datumaro", "label_studio", "labelme", "hf", "shards")
"""The forms of one's own data, as `data.dataset` names them."""
TEXT_FIELDS = (
    "expressions", "expression", "captions", "caption", "sentences", "sentence", "phrases", "phrase", "texts", "text",
    "referring_expressions", "referring_expression", "refexps", "refexp", "queries", "query", "sents", "sent", "raw",
)  # fmt: skip
"""Where the expressions of an object may stand; the first of these that holds something is read."""
MASK_FIELDS = (
    "mask", "masks", "segmentation", "segmentations", "polygon", "polygons", "rle", "mask_path", "segmentation_mask",
)  # fmt: skip
"""Where the mask of an object may stand; the first of these that holds something is read."""
IMAGE_FIELDS = (
    "image", "image_path", "file_name", "filename", "img_path", "img", "image_file", "img_name", "image_name", "path",
)  # fmt: skip
"""Where an image, or the path of its file, may stand; the first of these that holds something is read."""
_SIZE_FIELDS = (*BOX_FIELDS, *CORNER_FIELDS, "area")

_SAME_SPLIT = {
    "training": "train", "trn": "train",
    "validation": "val", "valid": "val", "dev": "val",
    "testing": "test",
}  # fmt: skip
SPLIT_NAMES = ("train", "val", "test", "testA", "testB", "testC", *_SAME_SPLIT)
"""Names of files and folders that state a split."""

NO_OBJECT = -1
"""What gRefCOCO writes, alone in a list, for the annotation of an expression that names nothing."""


def whole_id(value: Any) -> int | None:
    """An id as a number; a float that is whole and a text of digits are the number that they show.

    RefCLEF writes the ids of its annotations as text, ``<image>_<number>``. Any other text gets a number over 2**62
    that depends on the text alone.

    Returns:
        The number, or None where the value is no id.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value if abs(value) < 2**63 else None
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < 2**53 else None
    if not isinstance(value, str) or not value.strip():
        return None
    text = value.strip()
    parts = text.split("_")
    if len(parts) <= 2 and all(part.isascii() and part.isdigit() and len(part) <= 9 for part in parts):
        return int(parts[0]) if len(parts) == 1 else int(parts[0]) * 10**6 + int(parts[1])
    if text.isascii() and text.isdigit() and len(text) <= 18:
        return int(text)
    if text.isascii() and text.removesuffix(".0").isdigit() and len(text) <= 15:
        return int(text.removesuffix(".0"))
    return 2**62 + int.from_bytes(sha256(text.encode("utf-8", "surrogatepass")).digest()[:7], "little")


def plain_id(value: Any) -> int | str | None:
    """An id as own data have it: a whole number, or a text that shows none; None where it is no id."""
    if not isinstance(value, str):
        return whole_id(value)
    text = value.strip()
    number = whole_id(text)
    return number if number is None or ("_" not in text and number < 2**62) else text


def side_of(value: Any) -> int:
    """A side of an image in pixels, also where it is a float or a text; 0 where the value says none."""
    try:
        side = float(value)
    except (TypeError, ValueError, OverflowError):
        return 0
    return int(side) if math.isfinite(side) and 0 <= side < 2**31 else 0


def field_of(entry: Mapping[str, Any], names: Sequence[str]) -> str | None:
    """The first of some fields that holds something; or else the first that is not null, or that stands there at all.

    None where none of them stands there.
    """
    first = empty = None
    for name in names:  # a loop: this is asked four times for each of a hundred thousand lines
        if name in entry:
            value = entry[name]
            if holds_something(value):
                return name
            if value is not None:
                empty = empty or name
            first = first or name
    return empty or first


def holds_something(value: Any) -> bool:
    """Whether a field is filled: not with null, an empty text or list, or the NaN that pandas writes in their place."""
    if isinstance(value, str):
        return bool(value) and not value.isspace()
    if isinstance(value, list | tuple | Mapping):
        return bool(value)
    return value is not None and not (isinstance(value, float) and math.isnan(value))


def is_true(value: Any) -> bool:
    """Whether a field says yes; a text says it unless it says no, as tables write it that hold nothing but texts."""
    if isinstance(value, str):
        return value.strip().lower() not in ("", "0", "0.0", "false", "f", "no", "n", "none", "null", "nan")
    return holds_something(value) and bool(value)


def text_field(entry: Mapping[str, Any]) -> str | None:
    """The field that holds the expressions of an object, where there is one."""
    return field_of(entry, TEXT_FIELDS)


def texts_of(value: Any) -> list[str] | None:
    """The expressions of a text, of a sentence as REFER has it, or of a list of either.

    Args:
        value: of a field of expressions; None in it is no expression.

    Returns:
        The texts, none where there is nothing; None where something in it is neither.
    """
    if value is None:
        return []
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        name = next((name for name in ("sent", "raw", *TEXT_FIELDS) if isinstance(value.get(name), str)), None)
        return None if name is None else [value[name]]
    if not isinstance(value, list | tuple):
        return None
    found = [None if isinstance(one, list | tuple) else texts_of(one) for one in value]
    return None if None in found else [text for texts in found for text in texts or ()]


def states_nothing(entry: Mapping[str, Any]) -> bool:
    """Whether an entry says in so many words that its expressions name nothing in the image.

    ``no_target`` that is true says so, and so does ``mask`` that is null, where neither a box nor an area says
    otherwise. A mask that is not there says nothing.
    """
    told = entry.get("no_target")
    if holds_something(told):
        return is_true(told)
    if "mask" not in entry or entry["mask"] is not None:
        return False
    return stated_mask(entry) is None and not any(_is_size(entry.get(name)) for name in _SIZE_FIELDS)


def written_mask(entry: Mapping[str, Any]) -> Any:
    """What stands in an entry's field of a mask, an empty list too; None where there is no such field."""
    name = field_of(entry, MASK_FIELDS)
    return None if name is None else entry[name]


def stated_mask(entry: Mapping[str, Any]) -> Any:
    """The mask that an entry states, as `annotation.read_segmentation` takes it; None where it states none.

    An empty list or text beside a box is none: many tools write it at objects that have only a box.
    """
    mask = written_mask(entry)
    return None if isinstance(mask, list | tuple | str) and not mask and stated_box(entry) is not None else mask


def why_no_mask(entry: Mapping[str, Any]) -> str:
    """What is to be said of an entry that states neither a mask, nor a box, nor that it names nothing."""
    name = field_of(entry, MASK_FIELDS)
    box = field_of(entry, (*BOX_FIELDS, *CORNER_FIELDS))
    if box is not None and entry[box] is not None:
        meant = "left, top, right and bottom" if box in CORNER_FIELDS else "x, y, width and height over 0"
        return f"it has no mask, and {shown(entry[box])} as {box!r} is no box in pixels: {meant}"
    if name is None:
        return f'it has no mask; {", ".join(MASK_FIELDS)} are read, and "no_target": true where nothing is named'
    return f'its {name!r} is null, though it does not say "no_target": true'


def is_crowd(entry: Mapping[str, Any]) -> bool:
    """Whether an entry marks a region of many objects in place of one."""
    return is_true(entry.get("iscrowd"))


def file_name_of(entry: Mapping[str, Any]) -> str:
    """The name of an image's file with slashes, as every system reads it; empty where the entry states none."""
    for field in IMAGE_FIELDS:
        name = entry.get(field)
        if isinstance(name, str) and name:
            return name.replace("\\", "/") if "\\" in name else name
    return ""


def _is_size(value: Any) -> bool:
    """Whether a box or an area covers something."""
    if isinstance(value, list | tuple):
        return any(isinstance(side, int | float) and side != 0 for side in value)
    return isinstance(value, int | float) and value != 0


def named_ids(ref: Mapping[str, Any]) -> list[Any]:
    """The ids of the annotations that a referent names; none where it states that it names nothing.

    Args:
        ref: of the REFER family. ``no_target`` that is true, or ``[-1]`` as ``ann_id``, says that nothing is named.

    Raises:
        DataError: where it says neither, or both.
    """
    named = ref.get("ann_id", ref.get("ann_ids"))
    ids = list(named) if isinstance(named, list | tuple) else [] if named is None else [named]
    objects = [id_ for id_ in ids if id_ is not None and whole_id(id_) != NO_OBJECT]
    if is_true(ref.get("no_target")) or (isinstance(named, list | tuple) and ids and not objects and None not in ids):
        if objects:
            raise DataError(f"says 'no_target' and names annotation {objects[0]!r:.40}")
        return []
    if not ids or len(objects) < len(ids) or any(whole_id(id_) is None for id_ in ids):
        raise DataError("says neither which annotation it names nor, with [-1] or 'no_target', that it names nothing")
    return ids


def split_of(value: Any) -> str | None:
    """A split's name as an entry states it; None where it states none."""
    return value.strip() or None if isinstance(value, str) else None


def names_of_split(wanted: str, stated: Iterable[str]) -> tuple[str, ...]:
    """What data call a split.

    Args:
        wanted: ``train``, ``val`` ...
        stated: the names that stand there.

    Returns:
        The name itself where it stands there, else those that mean the same: ``validation``, ``valid`` and ``dev`` are
        ``val``, ``training`` is ``train``, ``testing`` is ``test``, and capitals do not count.
    """
    names = tuple(dict.fromkeys(stated))
    if wanted in names:
        return (wanted,)
    return tuple(name for name in names if _common_name(name) == _common_name(wanted))


def _common_name(split: str) -> str:
    plain = split.strip().lower().replace("_", "").replace("-", "")
    return _SAME_SPLIT.get(plain, plain)
