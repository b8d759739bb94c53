"""Own images as JSON Lines: each line an image, what is said of an object in it, and the object's mask."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from m3att.data.annotation import parts_of
from m3att.data.boxes import BOX_FIELDS, CORNER_FIELDS, box_in, stated_box
from m3att.data.fields import (
    IMAGE_FIELDS,
    MASK_FIELDS,
    TEXT_FIELDS,
    field_of,
    file_name_of,
    split_of,
    stated_mask,
    states_nothing,
    text_field,
    texts_of,
)
from m3att.data.own.content import (
    NO_CATEGORY,
    Content,
    about_content,
    carried_sentence,
    fault_of_ref,
    named_masks,
    new_sentence,
    read_json,
    reason_of,
    restored_sentence,
    split_or_none,
    unique_by_id,
    without,
)
from m3att.data.refer.records import sentence_text
from m3att.errors import DataError, shown

_as_json = json.JSONEncoder().encode
_as_key = json.JSONEncoder(sort_keys=True).encode
_read_json = json.JSONDecoder().raw_decode
_FIELDS = {"image": IMAGE_FIELDS, "mask": MASK_FIELDS, "text": TEXT_FIELDS}
EXTRA = "extra.json"
"""File for the values that JSON Lines have no place for; a conversion writes it so that nothing is lost."""


def read_lines(path: Path) -> list[Any]:
    """The lines of a file; empty ones, which editors leave at the end, do not count.

    Raises:
        DataError: where the file is missing or empty, or a line is no JSON.
    """
    try:
        content = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    found: list[Any] = []
    for number, line in enumerate(content.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            text = line.decode().strip(" \t\r")
            value, end = _read_json(text)  # `json.loads` takes twice the time, to look for spaces around the value
            if end < len(text):
                value = json.loads(text)  # says what is wrong with the rest
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}: line {number} is not JSON ({str(error).splitlines()[0]})") from None
        found.append(value)
    if not found:
        raise DataError(f"{path}: holds no line")
    return found


def wrong_with(line: Any) -> str | None:
    """What keeps a line from being read, or None."""
    if not isinstance(line, dict):
        return f"is {shown(line)}, no JSON object"
    name = field_of(line, IMAGE_FIELDS)
    image = None if name is None else line[name]
    if not isinstance(image, str) or not image or "\0" in image:
        found = f"has {shown(image)} as {name!r}" if image else "has no image"
        return f"{found} (a path; {', '.join(IMAGE_FIELDS)} are read)"
    name = text_field(line)
    if name is None:
        return f"has no expression (a text or a list of texts; {', '.join(TEXT_FIELDS)} are read)"
    if not texts_of(line[name]):
        return f"has {shown(line[name])} as {name!r}, neither a text nor a list of one text or more"
    return None


def content_of_lines(
    lines: Sequence[Any], root: Path, name: str, splits: Sequence[str | None] = (), for_writing: bool = True
) -> Content:
    """Lines as records. Lines of one image with one mask and one category name one referent.

    A line that cannot be read is told in ``faults`` and left out.

    Args:
        lines: as `read_lines` gives them.
        root: folder that their paths start from.
        name: what messages call the file.
        splits: for each line the split that its file's name states; it holds where the line states none.
        for_writing: keep what is needed to write these very lines again; a source needs none of it.

    Raises:
        DataError: where no line can be read.
    """
    images: dict[str, int] = {}
    categories: dict[str, int] = {}
    annotations: dict[tuple[int, int, str], dict[str, Any]] = {}
    refs: dict[tuple[int, str | None], dict[str, Any]] = {}
    mask_texts: dict[Any, str] = {}
    faults: dict[str, int] = {}
    sentences = 0
    for at, line in enumerate(lines):
        wrong = wrong_with(line)
        if wrong is not None:
            faults[f"{name}: entry {at + 1} {wrong}"] = 1
            continue
        split = split_of(line.get("split")) or (splits[at] if splits else None)
        image_id = images.setdefault(file_name_of(line), len(images) + 1)
        category = line.get("category")
        category = str(category) if isinstance(category, int | float) else category
        kind = categories.setdefault(category, len(categories) + 1) if category and isinstance(category, str) else 0
        mask, nothing = stated_mask(line), states_nothing(line)
        mask_text = "" if mask is None else _as_json(mask)
        box = stated_box(line) if mask is None and not nothing else None
        shape = _as_key(mask) if "{" in mask_text else mask_text
        if isinstance(mask, list) and mask and not isinstance(mask[0], list | dict):  # a flat polygon
            shape = f"[{shape}]"
        if mask is None:  # without a mask or a box, nothing tells that two lines mean the same thing
            shape = f"line {at}" if box is None else f"box {box}"
        key = (image_id, kind, "" if nothing else shape)
        annotation = annotations.get(key)
        if annotation is None:
            annotation = {"id": len(annotations) + 1, "image_id": image_id, "category_id": kind, "iscrowd": 0}
            if mask is not None:
                annotation["segmentation"] = mask
                if not for_writing:  # else the mask may become another before it is read
                    mask_texts[annotation["id"]] = mask_text
            if box is not None:
                annotation["bbox"] = list(box)
            elif mask is None and not nothing:  # what is no box is kept, to be told where the mask is read
                annotation |= {field: line[field] for field in (*BOX_FIELDS, *CORNER_FIELDS) if field in line}
            if nothing:
                annotation["no_target"] = True
            annotations[key] = annotation
        ref = refs.get((annotation["id"], split))
        if ref is None:
            ref = refs[annotation["id"], split] = {
                "ref_id": len(refs) + 1,
                "ann_id": annotation["id"],
                "image_id": image_id,
                "category_id": kind,
                "split": split,
                "sentences": [],
            }
        kept = _to_write(line, at, bool(kind)) if for_writing else None
        text_name: Any = text_field(line)  # `wrong_with` has found it
        for text in texts_of(line[text_name]) or ():
            sentences += 1
            ref["sentences"].append(
                {"sent_id": sentences, "sent": text}
                if kept is None
                else {**new_sentence(sentences, text), "extra": {"jsonl": kept}}
            )
    if not refs:
        raise DataError(next(iter(faults), f"{name}: holds no line"))
    if for_writing:
        for ref in refs.values():
            ref["sent_ids"] = [sentence["sent_id"] for sentence in ref["sentences"]]
    names = [NO_CATEGORY] if any(not key[1] for key in annotations) else []
    instances = {
        "images": [{"id": number, "file_name": path} for path, number in images.items()],
        "annotations": list(annotations.values()),
        "categories": names + [{"id": number, "name": category} for category, number in categories.items()],
    }
    chosen = split_or_none(list(refs.values()), faults, name)
    return Content(chosen, instances, root, every_object=False, faults=faults, mask_texts=mask_texts)


def _to_write(line: Mapping[str, Any], number: int, has_category: bool) -> dict[str, Any]:
    """What is needed to write a line again, beside the records that it became."""
    fields: dict[str, Any] = {kind: field_of(line, names) for kind, names in _FIELDS.items()}
    used = [field for field in fields.values() if field is not None]
    rest = without(line, *used, *(("category",) if has_category else ()), *(("split",) if "split" in line else ()))
    single = isinstance(line[fields["text"]], str)
    return {"line": number, "field": fields["text"], "single": single, "fields": fields, "rest": rest}


def lines_of_content(
    content: Content, image_root: str, place_of: Callable[[str], str]
) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    """Records as lines, a line a referent, and what lines have no place for; `content_of_converted` reads both back.

    Args:
        content: with no mask in a file of its own.
        image_root: what ``extra.json`` shall state as the folder of the images.
        place_of: turns an image's file name into the path that its lines state.

    Returns:
        The lines; the rest, or None where the records came from lines and all is in them.
    """
    annotations = unique_by_id(content.instances["annotations"])
    images = unique_by_id(content.instances["images"])
    categories = {entry["id"]: entry.get("name") for entry in content.instances["categories"] if entry != NO_CATEGORY}
    fresh = all(s.get("extra", {}).get("jsonl") for ref in content.refs for s in ref["sentences"])
    placed: list[tuple[int, dict[str, Any]]] = []
    homeless: list[list[Any]] = []
    for position, ref in enumerate(content.refs):
        annotation = annotations.get(ref["ann_id"], {}) if isinstance(ref["ann_id"], int | str) else {}
        name = images.get(ref["image_id"], {}).get("file_name")
        if not isinstance(name, str) or not ref["sentences"]:
            homeless.append([position, ref])
            continue
        named = ref.get("category_id", annotation.get("category_id"))  # gRefCOCO has one for each annotation
        if isinstance(named, list):
            named = named[0] if named and all(one == named[0] for one in named) else None
        category = categories.get(named) if isinstance(named, int | str) else None
        line = {
            "image": place_of(name),
            **(mask_field(annotation) or union_field(ref, annotations)),
            **({"category": category} if isinstance(category, str) else {}),
            **({"split": ref["split"]} if ref["split"] is not None else {}),
        }
        texts = [sentence_text(sentence) for sentence in ref["sentences"]]
        if not fresh:
            rest = {
                "ref": without(ref, "split", "ref_id", "sentences"),
                "sentences": [carried_sentence(sentence) for sentence in ref["sentences"]],
                "position": position,
            }
            placed.append((position, {"id": ref["ref_id"], **line, "expressions": texts, "extra": rest}))
            continue
        of_line: dict[int, list[str]] = {}
        told: dict[int, dict[str, Any]] = {}
        for sentence, text in zip(ref["sentences"], texts, strict=True):
            kept = sentence["extra"]["jsonl"]
            of_line.setdefault(kept["line"], []).append(text)
            told[kept["line"]] = kept
        for number, kept in told.items():
            words = of_line[number][0] if kept["single"] else of_line[number]
            names = {kind: kept["fields"].get(kind) or kind for kind in ("image", "mask")}
            unstated = kept["fields"].get("mask") is None
            left_out = ("bbox", "mask") if unstated else ("bbox",)  # a box stands among the rest
            own = {names.get(name, name): value for name, value in line.items() if name not in left_out}
            placed.append((number, {**own, kept["field"]: words, **kept["rest"]}))
    lines = [line for _, line in sorted(placed, key=lambda pair: pair[0])]
    if fresh:
        return lines, None
    carried = {
        content.refs[at]["ann_id"]
        for at, line in placed
        if line.get("mask") is not None and not isinstance(content.refs[at]["ann_id"], list)
    } & {entry["id"] for entry in content.instances["annotations"] if entry.get("segmentation") is not None}
    entries = [
        without(entry, "segmentation") if entry["id"] in carried else entry
        for entry in content.instances["annotations"]
    ]
    about = about_content(content, image_root, homeless)
    return lines, {"about": about, "instances": {**content.instances, "annotations": entries}}


def mask_field(annotation: Mapping[str, Any]) -> dict[str, Any]:
    """The mask of a line, where it states one, else its box; null where it says that nothing is named."""
    if states_nothing(annotation):
        return {"mask": None}
    mask, box = stated_mask(annotation), stated_box(annotation)
    if mask is not None:
        return {"mask": mask}
    return {} if box is None else {"bbox": list(box)}


def union_field(ref: Mapping[str, Any], annotations: Mapping[Any, Mapping[str, Any]]) -> dict[str, Any]:
    """The mask of a referent of gRefCOCO, which names several annotations, or none; where it can be told."""
    masks = named_masks(ref, annotations) if isinstance(ref["ann_id"], list) else None
    if masks is None or any(reason_of(mask) or box_in(mask) for mask in masks):
        return {}
    return {"mask": [part for mask in masks for part in parts_of(mask)] if masks else None}


def content_of_converted(lines: Sequence[Mapping[str, Any]], path: Path) -> Content:
    """The records that a conversion wrote as lines and ``extra.json``.

    Args:
        lines: of the folder's ``.jsonl``.
        path: of ``extra.json``.

    Raises:
        DataError: where the two do not fit each other.
    """
    extra = read_json(path)
    try:
        about, instances = extra["about"], extra["instances"]
        placed = [(int(at), ref) for at, ref in about["refs"]]
        masks: dict[int, Any] = {}
        for line in lines:
            carried = line["extra"]
            ref = {**carried["ref"], "ref_id": line["id"], "split": line.get("split")}
            name = text_field(line)
            texts = texts_of(line[name]) if name else None
            pairs = zip(carried["sentences"], texts or (), strict=True)
            ref["sentences"] = [restored_sentence(sentence, text) for sentence, text in pairs]
            placed.append((int(carried["position"]), ref))
            if line.get("mask") is not None and not isinstance(ref["ann_id"], list):
                masks[ref["ann_id"]] = line["mask"]
        wrong = next(filter(None, (fault_of_ref(ref) for _, ref in placed)), None)
        if wrong is not None:
            raise ValueError(wrong)
        entries = [
            {**entry, "segmentation": masks[entry["id"]]}
            if entry["id"] in masks and stated_mask(entry) is None
            else entry
            for entry in instances["annotations"]
        ]
        return Content(
            [ref for _, ref in sorted(placed, key=lambda pair: pair[0])],
            {**instances, "annotations": entries},
            path.parent / str(about["image_root"]),
            str(about["dataset"]),
            str(about["split_by"]),
            bool(about["every_object"]),
        )
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise DataError(
            f"{path}: does not fit the lines beside it ({type(error).__name__}: {error}); remove it to have the lines "
            "read as your own"
        ) from None
