"""Own images as JSON Lines: each line an image, what is said of an object in it, and the object's mask."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from m3att.data.annotation import parts_of
from m3att.data.masks import is_polygon
from m3att.data.own.content import (
    NO_CATEGORY,
    TEXT_FIELDS,
    Content,
    carried_sentence,
    fault_of_ref,
    named_masks,
    new_sentence,
    read_json,
    restored_sentence,
    text_field,
    texts_of,
    unique_by_id,
    without,
)
from m3att.data.refer.records import sentence_text
from m3att.errors import DataError

EXTRA = "extra.json"
"""What JSON Lines have no place for, written beside them by a conversion so that nothing is lost on the way back."""


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a file; empty ones, which editors leave at the end, do not count.

    Raises:
        DataError: where the file is missing, or a line is no JSON object or lacks image or expression.
    """
    try:
        content = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    found: list[dict[str, Any]] = []
    for number, line in enumerate(content.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line.decode())
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}: line {number} is not JSON ({str(error).splitlines()[0]})") from None
        wrong = wrong_with(value)
        if wrong is not None:
            raise DataError(f"{path}: line {number} {wrong}")
        found.append(value)
    if not found:
        raise DataError(f"{path}: holds no line")
    return found


def wrong_with(line: Any) -> str | None:
    """What keeps a line from being read, or None."""
    if not isinstance(line, dict):
        return "is no JSON object"
    if not isinstance(line.get("image"), str) or not line["image"] or "\0" in line["image"]:
        return "has no 'image' (a path)"
    name = text_field(line)
    if name is None:
        return f"has no 'expression' (a text or a list of texts; {', '.join(TEXT_FIELDS)} are read)"
    if texts_of(line[name]) is None:
        return f"has {name!r} that is neither a text nor a list of one text or more"
    for key, kind, what in (("split", str, "a text"), ("category", str, "a text")):
        if not isinstance(line.get(key), kind | None):
            return f"has {key!r} that is not {what}"
    return None


def content_of_lines(
    lines: Sequence[Mapping[str, Any]], root: Path, name: str, splits: Sequence[str | None] = ()
) -> Content:
    """Lines as records. Lines of one image with one mask and one category name one referent.

    Args:
        lines: as `read_lines` gives them.
        root: folder that their paths start from.
        name: what messages call the file.
        splits: for each line the split that its file's name states; it holds where the line states none.

    Raises:
        DataError: where some lines state a split and others do not.
    """
    stated = [line.get("split") or (splits[at] if splits else None) for at, line in enumerate(lines)]
    if any(stated) and not all(stated):
        raise DataError(f"{name}: entry {stated.index(None) + 1} states no split, but others do; give all one, or none")
    images: dict[str, int] = {}
    categories: dict[str, int] = {}
    annotations: dict[tuple[Any, ...], dict[str, Any]] = {}
    refs: dict[tuple[Any, ...], dict[str, Any]] = {}
    sentences = 0
    for at, line in enumerate(lines):
        image_id = images.setdefault(line["image"], len(images) + 1)
        category_id = categories.setdefault(line["category"], len(categories) + 1) if line.get("category") else 0
        mask = line.get("mask")
        # Without a mask, nothing tells that two lines mean the same thing.
        key = (
            image_id,
            category_id,
            json.dumps(parts_of(mask) if isinstance(mask, list) else mask, sort_keys=True)
            if "mask" in line
            else f"line {at}",
        )
        annotation = annotations.setdefault(
            key,
            {
                "id": len(annotations) + 1,
                "image_id": image_id,
                "category_id": category_id,
                "iscrowd": 0,
                **({"segmentation": mask} if "mask" in line else {}),
            },
        )
        ref = refs.setdefault(
            (key, stated[at]),
            {
                "ref_id": len(refs) + 1,
                "ann_id": annotation["id"],
                "image_id": image_id,
                "category_id": category_id,
                "split": stated[at],
                "sentences": [],
            },
        )
        field = text_field(line)
        assert field is not None
        # What is needed to write this very line again.
        rest = without(line, "image", "mask", "category", field, *(() if "split" not in line else ("split",)))
        kept = {"line": at, "field": field, "single": isinstance(line[field], str), "rest": rest}
        for text in texts_of(line[field]) or ():
            sentences += 1
            ref["sentences"].append({**new_sentence(sentences, text), "extra": {"jsonl": kept}})
    for ref in refs.values():
        ref["sent_ids"] = [sentence["sent_id"] for sentence in ref["sentences"]]
    names = [NO_CATEGORY] if any(not key[1] for key in annotations) else []
    instances = {
        "images": [{"id": number, "file_name": path} for path, number in images.items()],
        "annotations": list(annotations.values()),
        "categories": names + [{"id": number, "name": category} for category, number in categories.items()],
    }
    return Content(list(refs.values()), instances, root, every_object=False)


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
        category = categories.get(ref.get("category_id", annotation.get("category_id")))
        line = {
            "image": place_of(name),
            **(mask_field(annotation, content) or union_field(ref, annotations)),
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
            placed.append((number, {**line, kept["field"]: words, **kept["rest"]}))
    lines = [line for _, line in sorted(placed, key=lambda pair: pair[0])]
    if fresh:
        return lines, None
    carried = {
        content.refs[at]["ann_id"]
        for at, line in placed
        if line.get("mask") is not None and not isinstance(content.refs[at]["ann_id"], list)
    }
    entries = [
        without(entry, "segmentation") if entry["id"] in carried else entry
        for entry in content.instances["annotations"]
    ]
    about = {
        "image_root": image_root,
        "dataset": content.dataset,
        "split_by": content.split_by,
        "every_object": content.every_object,
        "refs": homeless,
    }
    return lines, {"about": about, "instances": {**content.instances, "annotations": entries}}


def mask_field(annotation: Mapping[str, Any], content: Content) -> dict[str, Any]:
    """The mask of a line, where it states one; null where it is empty on purpose."""
    if annotation.get("no_target"):
        return {"mask": None}
    if "segmentation" not in annotation or (content.every_object and annotation["segmentation"] is None):
        return {}
    return {"mask": annotation["segmentation"]}


def union_field(ref: Mapping[str, Any], annotations: Mapping[Any, Mapping[str, Any]]) -> dict[str, Any]:
    """The mask of a referent of gRefCOCO, which names several annotations, or none; where it can be told."""
    masks = named_masks(ref, annotations) if isinstance(ref["ann_id"], list) else None
    if masks is None:
        return {}
    if not masks:
        return {"mask": None}
    if all(isinstance(mask, list) and all(map(is_polygon, mask)) for mask in masks):
        return {"mask": [polygon for mask in masks for polygon in mask]}
    return {"mask": masks} if all(isinstance(mask, dict) for mask in masks) else {}


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
            if entry["id"] in masks and "segmentation" not in entry
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
