"""Own images as a COCO json whose annotations carry expressions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from m3att.data.fields import TEXT_FIELDS, split_of, text_field, texts_of
from m3att.data.own.content import (
    NO_CATEGORY,
    Content,
    about_content,
    carried_sentence,
    fault_of_ref,
    new_sentence,
    read_json,
    restored_sentence,
    split_or_none,
    without,
)
from m3att.data.own.entries import as_given, plain_entries
from m3att.data.refer.records import sentence_text
from m3att.errors import DataError, shown

CARRIED = "refer"
"""Field of an annotation in which a conversion keeps what REFER knows of its referents beside the texts."""
ABOUT = "m3att"
"""Field of the file in which a conversion keeps name, split maker and folder of images."""


def read_coco(path: Path) -> dict[str, Any]:
    """A COCO json, checked as a whole; single entries that are odd are told by `content_of_coco`.

    Raises:
        DataError: where it is missing, no JSON, or no COCO json.
    """
    data = read_json(path)
    if not isinstance(data, dict):
        raise DataError(f"{path}: holds no JSON object; is it a COCO json?")
    for key in ("images", "annotations"):
        if not isinstance(data.get(key), list):
            raise DataError(f"{path}: has no list {key!r}; is it a COCO json?")
    if ABOUT in data:
        _check_converted(data, path)
    return data


def _check_converted(data: Mapping[str, Any], path: Path) -> None:
    """Whether a file is as a conversion writes it, ids of text and entries without a name included.

    Raises:
        DataError: where it is not.
    """
    about = data[ABOUT]
    refs = about.get("refs", []) if isinstance(about, dict) else None
    if (
        not isinstance(about, dict)
        or not isinstance(about.get("image_root", ""), str)
        or not isinstance(refs, list)
        or not all(isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], int) for pair in refs)
        or any(fault_of_ref(ref) for _, ref in refs)
    ):
        raise DataError(f"{path}: {ABOUT!r} is not what a conversion writes there")
    for key, needed in (("images", ("id",)), ("annotations", ("id", "image_id")), ("categories", ("id",))):
        entries = data.get(key, [])
        if not isinstance(entries, list):
            raise DataError(f"{path}: {key!r} is no list")
        for at, entry in enumerate(entries):
            for name in needed:
                id_ = entry.get(name) if isinstance(entry, dict) else None
                if type(id_) is not int and not isinstance(id_, str):
                    found = "has no" if id_ is None else f"has {shown(id_)} as"
                    raise DataError(f"{path}: entry {at} of {key!r} {found} {name!r}")


def content_of_coco(data: Mapping[str, Any], path: Path, split: str | None = None) -> Content:
    """A COCO json as records: each annotation that carries expressions becomes a referent.

    What is odd is told in ``faults``: of annotations whose id stands twice the later gets a new id; what cannot be read
    is left out, so are annotations of an image id that two different files share, since nobody can know which file they
    mean.

    Args:
        data: as `read_coco` gives it.
        path: of the file, for messages and to find the images.
        split: what the file's name states; it holds where neither the annotation nor its image states one.

    Raises:
        DataError: where no annotation has an expression.
    """
    if ABOUT in data:  # all ids stay as they were
        return _content_of_converted(data, path)
    entries = plain_entries(data, path)
    images = {entry["id"]: entry for entry in reversed(entries.images)}
    annotations: list[dict[str, Any]] = []
    refs: list[dict[str, Any]] = []
    sentences = 0
    for entry in entries.annotations:
        name = text_field(entry)
        texts = texts_of(entry[name]) if name else []
        if texts is None:
            which = f"annotation {shown(as_given(entry).get('id'))}"
            entries.note(f"{which} has {name!r} that is neither a text nor a list of texts", 1)
        if name is None or not texts:
            annotations.append(entry)
            continue
        annotation = without(entry, name)
        annotations.append(annotation)
        if entry["image_id"] in entries.doubtful:
            entries.note(entries.doubtful[entry["image_id"]], len(texts))
            continue
        image = images[entry["image_id"]]
        ref = {
            "ref_id": len(refs) + 1,
            "ann_id": annotation["id"],
            "image_id": entry["image_id"],
            "category_id": annotation["category_id"],
            "split": split_of(entry.get("split")) or split_of(image.get("split")) or split,
            "sent_ids": list(range(sentences + 1, sentences + 1 + len(texts))),
            "sentences": [new_sentence(sentences + 1 + at, text) for at, text in enumerate(texts)],
            "extra": {"coco": {"field": name, "single": isinstance(entry[name], str)}},
        }
        refs.append(ref)
        sentences += len(texts)
    if not refs:
        odd = next((reason.removeprefix(f"{path}: ") for reason, cost in entries.faults.items() if cost), None)
        why = "no annotation has expressions" if odd is None else f"no annotation can be read: {odd}"
        raise DataError(f"{path}: {why}; {', '.join(TEXT_FIELDS)} are the fields that are read")
    categories = entries.categories
    if any(entry["category_id"] == NO_CATEGORY["id"] for entry in annotations):
        categories = categories + [NO_CATEGORY] * all(entry["id"] != NO_CATEGORY["id"] for entry in categories)
    rest = without(data, "images", "annotations", "categories")
    instances = {**rest, "images": entries.images, "annotations": annotations, "categories": categories}
    return Content(split_or_none(refs, entries.faults, str(path)), instances, path.parent, faults=entries.faults)


def _content_of_converted(data: Mapping[str, Any], path: Path) -> Content:
    """What a conversion wrote, as it was before.

    Raises:
        DataError: where it does not fit together, or holds no referent.
    """
    about = data[ABOUT]
    annotations: list[dict[str, Any]] = []
    placed: list[tuple[int, dict[str, Any]]] = [(at, ref) for at, ref in about.get("refs", [])]
    for entry in data["annotations"]:
        name = text_field(entry)
        if CARRIED in entry and name is not None:
            annotations.append(without(entry, name, "split", CARRIED))
            placed += refs_carried(entry, texts_of(entry[name]) or [], path)
        else:
            annotations.append(without(entry, *([name] if name else ())))
    refs = [ref for _, ref in sorted(placed, key=lambda pair: pair[0])]
    if not refs:
        raise DataError(f"{path}: no annotation has expressions; {', '.join(TEXT_FIELDS)} are the fields that are read")
    return Content(
        refs,
        {**without(data, "annotations", ABOUT), "annotations": annotations, "categories": data.get("categories", [])},
        path.parent / str(about.get("image_root", "")),
        str(about.get("dataset", "custom")),
        str(about.get("split_by", "own")),
        bool(about.get("every_object", True)),
    )


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
        categories = [as_given(entry) for entry in content.instances["categories"] if entry != NO_CATEGORY]
        kept = {"categories": categories} if categories else {}
        images = [as_given(entry) for entry in content.instances["images"]]
        return {**without(content.instances, "categories"), **kept, "images": images, "annotations": annotations}
    return {**content.instances, "annotations": annotations, ABOUT: about_content(content, image_root, homeless)}


def as_it_came(annotation: Mapping[str, Any], ref: Mapping[str, Any] | None, texts: list[str]) -> dict[str, Any]:
    """An annotation of someone's own COCO json, as it stood there.

    Args:
        annotation: of the records.
        ref: the referent that it came with; None where it had none.
        texts: its expressions.
    """
    entry = as_given(annotation)
    if ref is not None:
        told = ref["extra"]["coco"]
        entry[told["field"]] = texts[0] if told["single"] else texts
    return entry
