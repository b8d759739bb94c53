"""Own images as a COCO json whose annotations carry expressions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from m3att.data.own.content import (
    NO_CATEGORY,
    TEXT_FIELDS,
    Content,
    carried_sentence,
    fault_of_ref,
    new_sentence,
    read_json,
    restored_sentence,
    text_field,
    texts_of,
    without,
)
from m3att.data.refer.records import sentence_text
from m3att.errors import DataError

CARRIED = "refer"
"""Field of an annotation in which a conversion keeps what REFER knows of its referents beside the texts."""
ABOUT = "m3att"
"""Field of the file in which a conversion keeps name, split maker and folder of images."""


def read_coco(path: Path) -> dict[str, Any]:
    """A COCO json, checked as far as it is used here.

    Raises:
        DataError: where it is missing, no JSON, or an entry lacks what it needs.
    """
    data = read_json(path)
    if not isinstance(data, dict):
        raise DataError(f"{path}: holds no JSON object; is it a COCO json?")
    for key, needed in (
        ("images", {"id": int, "file_name": str}),
        ("annotations", {"id": int, "image_id": int}),
        ("categories", {"id": int}),
    ):
        if key == "categories" and key not in data:
            continue
        if not isinstance(data.get(key), list):
            raise DataError(f"{path}: has no list {key!r}; is it a COCO json?")
        for at, entry in enumerate(data[key]):
            for field, kind in needed.items():
                # Converted from RefCLEF, whose ids are text.
                text_id = ABOUT in data and isinstance(entry, dict) and isinstance(entry.get(field), str)
                if not isinstance(entry, dict) or (type(entry.get(field)) is not kind and not text_id):
                    given = entry.get(field) if isinstance(entry, dict) else None
                    found = "has no" if given is None else f"has {given!r:.60} as"
                    raise DataError(f"{path}: entry {at} of {key!r} {found} {field!r} ({kind.__name__})")
            if not isinstance(entry.get("split"), str | None):
                raise DataError(f"{path}: entry {at} of {key!r} has a 'split' that is not a text")
    for entry in data["annotations"]:
        name = text_field(entry)
        if name is not None and texts_of(entry[name]) is None:
            raise DataError(f"{path}: annotation {entry['id']}: {name!r} is neither a text nor a list of texts")
        category = entry.get("category_id", 0)
        # What was converted from the REFER layout may have RefCLEF's texts, or none.
        if type(category) is not int and (ABOUT not in data or not isinstance(category, str | None)):
            raise DataError(f"{path}: annotation {entry['id']}: 'category_id' is no whole number")
    about = data.get(ABOUT, {})
    refs = about.get("refs", []) if isinstance(about, dict) else None
    if (
        not isinstance(about, dict)
        or not isinstance(about.get("image_root", ""), str)
        or not isinstance(refs, list)
        or not all(isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], int) for pair in refs)
        or any(fault_of_ref(ref) for _, ref in refs)
    ):
        raise DataError(f"{path}: {ABOUT!r} is not what a conversion writes there")
    return data


def content_of_coco(data: Mapping[str, Any], path: Path, split: str | None = None) -> Content:
    """A COCO json as records: each annotation that carries expressions becomes a referent.

    Ids that stand twice are told in ``faults``: the later annotation gets a new id; an image id that two different
    files share leaves its annotations without expressions, since nobody can know which file they mean.

    Args:
        data: as `read_coco` gives it.
        path: of the file, for messages and to find the images.
        split: what the file's name states; it holds where neither the annotation nor its image states one.

    Raises:
        DataError: where some referents have a split and others do not, or there is none.
    """
    converted = ABOUT in data  # by us: then all ids stay as they were
    images, doubtful, faults = ({}, {}, {}) if converted else index_images(data, path)
    highest = 0 if converted else max((entry["id"] for entry in data["annotations"]), default=0)
    annotations: list[dict[str, Any]] = []
    placed: list[tuple[int, dict[str, Any]]] = [(at, ref) for at, ref in data.get(ABOUT, {}).get("refs", [])]
    seen: set[int] = set()
    sentences = 0
    for entry in data["annotations"]:
        name = text_field(entry)
        if CARRIED in entry and name is not None:
            annotations.append(without(entry, name, "split", CARRIED))
            placed += refs_carried(entry, texts_of(entry[name]) or [], path)
            continue
        annotation = without(entry, *([name] if name else ()))
        annotations.append(annotation)
        if converted:
            continue
        annotation.setdefault("category_id", NO_CATEGORY["id"])
        if entry["id"] in seen:
            highest += 1
            faults[f"{path}: annotation id {entry['id']} stands twice; the later one is read as {highest}"] = 0
            annotation |= {"id": highest, "given_id": entry["id"]}
        seen.add(entry["id"])
        if name is None:
            continue
        if entry["image_id"] in doubtful:
            faults[doubtful[entry["image_id"]]] += len(texts_of(entry[name]) or ())
            continue
        if entry["image_id"] not in images:
            raise DataError(f"{path}: annotation {entry['id']} is of image {entry['image_id']}, which is not listed")
        texts = texts_of(entry[name]) or []
        ref = {
            "ref_id": len(placed) + 1,
            "ann_id": annotation["id"],
            "image_id": entry["image_id"],
            "category_id": annotation["category_id"],
            "split": entry.get("split") or images[entry["image_id"]].get("split") or split,
            "sent_ids": list(range(sentences + 1, sentences + 1 + len(texts))),
            "sentences": [new_sentence(sentences + 1 + at, text) for at, text in enumerate(texts)],
            "extra": {"coco": {"field": name, "single": isinstance(entry[name], str)}},
        }
        placed.append((len(placed), ref))
        sentences += len(texts)
    refs = [ref for _, ref in sorted(placed, key=lambda pair: pair[0])]
    if not refs:
        raise DataError(f"{path}: no annotation has expressions; {', '.join(TEXT_FIELDS)} are the fields that are read")
    unsplit = [ref["ann_id"] for ref in refs if ref["split"] is None]
    if unsplit and len(unsplit) < len(refs):
        raise DataError(f"{path}: annotation {unsplit[0]} states no split, but others do; give all one, or none")
    categories = list(data.get("categories", []))
    if not converted and any(entry["category_id"] == NO_CATEGORY["id"] for entry in annotations):
        categories += [] if any(entry["id"] == NO_CATEGORY["id"] for entry in categories) else [NO_CATEGORY]
    rest = without(data, "annotations", "categories", ABOUT)
    instances = {**rest, "annotations": annotations, "categories": categories}
    about = data.get(ABOUT, {})
    return Content(
        refs,
        instances,
        path.parent / str(data.get(ABOUT, {}).get("image_root", "")),
        str(about.get("dataset", "custom")),
        str(about.get("split_by", "own")),
        bool(about.get("every_object", True)),
        faults,
    )


def index_images(
    data: Mapping[str, Any], path: Path
) -> tuple[dict[int, dict[str, Any]], dict[int, str], dict[str, int]]:
    """The images by id, what is to be said of ids that two different files share, and of all ids that stand twice."""
    images: dict[int, dict[str, Any]] = {}
    doubtful: dict[int, str] = {}
    faults: dict[str, int] = {}
    for entry in data["images"]:
        first = images.setdefault(entry["id"], entry)
        if first is not entry:
            reason = f"{path}: image id {entry['id']} stands twice: {first['file_name']}, {entry['file_name']}"
            faults[reason] = 0
            if first["file_name"] != entry["file_name"]:
                doubtful.setdefault(entry["id"], reason)
    return images, doubtful, faults


def refs_carried(entry: Mapping[str, Any], texts: Sequence[str], path: Path) -> list[tuple[int, dict[str, Any]]]:
    """The referents of an annotation as a conversion wrote them, each with its place among all.

    Args:
        entry: an annotation.
        texts: its expressions.
        path: of the file, for messages.

    Raises:
        DataError: where they do not fit the annotation's expressions.
    """
    refs: list[tuple[int, dict[str, Any]]] = []
    try:
        rest = list(texts)
        for carried in entry[CARRIED]:
            sentences = carried["sentences"]
            own, rest = rest[: len(sentences)], rest[len(sentences) :]
            restored = [restored_sentence(s, text) for s, text in zip(sentences, own, strict=True)]
            refs.append((int(carried["position"]), {**carried["ref"], "ann_id": entry["id"], "sentences": restored}))
        if rest:
            raise ValueError("more expressions than sentences")
        wrong = next(filter(None, (fault_of_ref(ref) for _, ref in refs)), None)
        if wrong is not None:
            raise ValueError(wrong)
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise DataError(
            f"{path}: annotation {entry['id']}: {CARRIED!r} does not fit its expressions ({error}); where you have "
            f"changed their number, remove {CARRIED!r} from all annotations and {ABOUT!r} from the file"
        ) from None
    return refs


def coco_of_content(content: Content, image_root: str) -> dict[str, Any]:
    """Records as a COCO json, which `content_of_coco` reads back as they were.

    Args:
        content: with no mask in a file of its own.
        image_root: what the file shall state as the folder of the images.

    Raises:
        DataError: where an annotation has a field of one of the names that are needed.
    """
    occurrences = Counter(entry["id"] for entry in content.instances["annotations"])
    of_annotation: dict[int | str, list[tuple[int, dict[str, Any]]]] = {}
    homeless: list[list[Any]] = []
    for position, ref in enumerate(content.refs):
        if isinstance(ref["ann_id"], int | str) and occurrences[ref["ann_id"]] == 1:
            of_annotation.setdefault(ref["ann_id"], []).append((position, ref))
        else:
            homeless.append([position, ref])
    fresh = all("coco" in ref.get("extra", {}) for ref in content.refs)
    annotations: list[dict[str, Any]] = []
    for annotation in content.instances["annotations"]:
        mine = of_annotation.get(annotation["id"], []) if occurrences[annotation["id"]] == 1 else []
        texts = [sentence_text(sentence) for _, ref in mine for sentence in ref["sentences"]]
        if fresh:
            annotations.append(as_it_came(annotation, mine[0][1] if mine else None, texts))
            continue
        if not texts:
            homeless += [[position, ref] for position, ref in mine]
            annotations.append(annotation)
            continue
        taken = [name for name in (*TEXT_FIELDS, "split", CARRIED) if name in annotation]
        if taken:
            raise DataError(f"annotation {annotation['id']} has a field {taken[0]!r} of its own already; rename it")
        carried = [
            {
                "position": position,
                "ref": without(ref, "ann_id", "sentences"),
                "sentences": [carried_sentence(sentence) for sentence in ref["sentences"]],
            }
            for position, ref in mine
        ]
        splits = {ref["split"] for _, ref in mine}
        stated = {"split": mine[0][1]["split"]} if len(splits) == 1 and None not in splits else {}
        annotations.append({**annotation, "expressions": texts, **stated, CARRIED: carried})
    if fresh:
        categories = [entry for entry in content.instances["categories"] if entry != NO_CATEGORY]
        kept = {"categories": categories} if categories else {}
        return {**without(content.instances, "categories"), **kept, "annotations": annotations}
    about = {
        "image_root": image_root,
        "dataset": content.dataset,
        "split_by": content.split_by,
        "every_object": content.every_object,
        "refs": homeless,
    }
    return {**content.instances, "annotations": annotations, ABOUT: about}


def as_it_came(annotation: Mapping[str, Any], ref: Mapping[str, Any] | None, texts: list[str]) -> dict[str, Any]:
    """An annotation of someone's own COCO json, as it stood there.

    Args:
        annotation: of the records.
        ref: the referent that it came with; None where it had none.
        texts: its expressions.
    """
    entry: dict[str, Any] = {**annotation, "id": annotation.get("given_id", annotation["id"])}
    entry.pop("given_id", None)  # of one that stood twice
    if annotation["category_id"] == NO_CATEGORY["id"]:
        del entry["category_id"]
    if ref is not None:
        told = ref["extra"]["coco"]
        entry[told["field"]] = texts[0] if told["single"] else texts
    return entry
