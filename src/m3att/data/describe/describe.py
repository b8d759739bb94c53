"""Makes a referring data set of images and outlines alone: expressions are written that are true of one object each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from m3att.data.describe.say import STYLES, Said, Style, expressions_of
from m3att.data.describe.things import read_things
from m3att.data.images import read_image
from m3att.data.own.coco import read_coco
from m3att.data.own.content import Content, new_folder, new_sentence
from m3att.data.own.convert import Converted, write_content
from m3att.data.own.files import with_photos
from m3att.data.own.standard import Form
from m3att.errors import DataError, ImageError

Progress = Callable[[int, int], None]
NO_TARGET = "no target"  # the skill of expressions that name nothing


@dataclass(frozen=True)
class Wish:
    """What expressions are wanted.

    Args:
        per_object: most of one object.
        styles: those that they may be in.
        split: name of the split that they get.
        seed: another seed, other expressions.
        absent: for each image, how many expressions of other images to add that name nothing in it.
    """

    per_object: int = 4
    styles: tuple[Style, ...] = STYLES
    split: str = "train"
    seed: int = 0
    absent: int = 0


def describe(
    place: Path,
    form: Form,
    out: Path,
    wish: Wish = Wish(),
    copy_images: bool = False,
    progress: Progress | None = None,
    image_root: Path | None = None,
) -> Converted:
    """Writes expressions for the objects of a COCO file, and the data set that they make, to a new folder.

    Args:
        place: a COCO json with outlines; objects that have a box alone are told by all but colour.
        form: see `convert`.
        out: the new folder.
        wish: which expressions.
        copy_images: copy the images into the folder; else they are referred to where they are.
        progress: called with the number of images done and of all.
        image_root: folder of the images; None: looked for.

    Returns:
        What was written; ``faults`` names images and annotations that could not be read.

    Raises:
        DataError: where the file cannot be read, the folder is not new, or nothing could be said.
    """
    content = describe_content(place, wish, progress, image_root)
    with new_folder(out) as folder:
        written = write_content(content, form, folder, out, copy_images)
    faults = (*content.faults, *written.faults)
    return replace(written, path=out / written.path.relative_to(folder), faults=tuple(dict.fromkeys(faults)))


def describe_content(
    place: Path, wish: Wish, progress: Progress | None = None, image_root: Path | None = None
) -> Content:
    """The records that `describe` writes.

    Args:
        place: see `describe`.
        wish: which expressions.
        progress: see `describe`.
        image_root: see `describe`.

    Raises:
        DataError: as `describe` does.
    """
    data = read_coco(place)
    if "categories" not in data:
        raise DataError(f"{place}: has no list 'categories', and without names nothing can be said")
    categories = {entry["id"]: str(entry.get("name")) for entry in data["categories"]}
    instances = {key: data[key] for key in ("images", "annotations", "categories")}
    content = with_photos(Content([], instances, place.parent), place, None, image_root)
    of_image: dict[int, list[dict[str, Any]]] = {}
    for entry in data["annotations"]:
        of_image.setdefault(entry["image_id"], []).append(entry)
    refs: list[dict[str, Any]] = []
    faults: dict[str, int] = {}
    sentences = 0
    described: list[int] = []
    for number, image in enumerate(data["images"], start=1):
        annotations = of_image.get(image["id"], [])
        try:
            things = read_things(read_image(content.image_file(image["file_name"])), annotations, categories)
        except (DataError, ImageError) as error:
            faults[f"image {image['id']}: {error}"] = 0
            continue
        described.append(image["id"])
        chance = np.random.default_rng([wish.seed, image["id"] % 2**63])
        for row, said in chosen(expressions_of(things, chance), wish, chance).items():
            entry = annotations[row]
            sentences += len(said)
            first = sentences - len(said) + 1
            texts = [{**new_sentence(first + at, one.text), "skills": list(one.skills)} for at, one in enumerate(said)]
            refs.append(
                {
                    "ref_id": len(refs) + 1,
                    "ann_id": entry["id"],
                    "image_id": image["id"],
                    "category_id": entry["category_id"],
                    "split": wish.split,
                    "sent_ids": [sentence["sent_id"] for sentence in texts],
                    "sentences": texts,
                }
            )
        if progress is not None:
            progress(number, len(data["images"]))
    if not refs:
        told = f"; {next(iter(faults))}" if faults else ""
        raise DataError(f"{place}: nothing can be said that is true of one object alone{told}")
    if wish.absent:
        present = {image: {entry["category_id"] for entry in of_image.get(image, [])} for image in described}
        nothing, empty = absent_referents(refs, present, wish)
        annotations = renumbered(empty, data["annotations"])
        for ref, entry in zip(nothing, annotations, strict=True):
            ref["ann_id"] = entry["id"]
        refs += nothing
        content = replace(content, instances={**instances, "annotations": [*data["annotations"], *annotations]})
    return replace(content, refs=refs, faults=faults)


def absent_referents(
    refs: Sequence[Mapping[str, Any]], present: Mapping[int, Set[int]], wish: Wish
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Referents that are not there: for each image, expressions of others whose category it does not have.

    Args:
        refs: of all images.
        present: the categories of each image, crowds included.
        wish: how many an image, and the seed.

    Returns:
        The referents, still without the id of their annotation, and their annotations, still without an id.
    """
    pool = [(ref["category_id"], sentence) for ref in refs for sentence in ref["sentences"]]
    sentences = sum(len(ref["sentences"]) for ref in refs)
    found: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image, categories in present.items():
        chance = np.random.default_rng([wish.seed, image % 2**63, 1])
        absent = [(category, sentence) for category, sentence in pool if category not in categories]
        for at in chance.permutation(len(absent))[: wish.absent]:
            category, sentence = absent[at]
            sentences += 1
            text = {**new_sentence(sentences, sentence["sent"]), "skills": [NO_TARGET]}
            found.append(
                {
                    "ref_id": len(refs) + len(found) + 1,
                    "image_id": image,
                    "category_id": category,
                    "split": wish.split,
                    "sent_ids": [sentences],
                    "sentences": [text],
                }
            )
            annotations.append({"image_id": image, "category_id": category, "iscrowd": 0, "no_target": True})
    return found, annotations


def renumbered(entries: Sequence[Mapping[str, Any]], others: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Annotations with ids that none of the others has."""
    highest = max((entry["id"] for entry in others if isinstance(entry["id"], int)), default=0)
    return [{"id": highest + number, **entry} for number, entry in enumerate(entries, start=1)]


def chosen(found: Sequence[Said], wish: Wish, chance: np.random.Generator) -> dict[int, list[Said]]:
    """Of all that could be said, as much as is wanted of each object: ways of telling it are drawn evenly.

    Args:
        found: all expressions of an image.
        wish: how many, and in which styles.
        chance: draws among them.

    Returns:
        Expressions by the row of their object.
    """
    of_row: dict[int, dict[tuple[str, ...], list[Said]]] = {}
    for said in found:
        if set(said.styles) & set(wish.styles):
            of_row.setdefault(said.row, {}).setdefault(said.skills, []).append(said)
    kept: dict[int, list[Said]] = {}
    for row, ways in of_row.items():
        texts: dict[str, Said] = {}
        queues = [[ones[at] for at in chance.permutation(len(ones))] for ones in ways.values()]
        queues = [queues[at] for at in chance.permutation(len(queues))]
        while queues and len(texts) < wish.per_object:
            for queue in queues:
                if len(texts) < wish.per_object:
                    said = queue.pop()
                    texts.setdefault(said.text, said)
            queues = [queue for queue in queues if queue]
        kept[row] = list(texts.values())
    return kept
