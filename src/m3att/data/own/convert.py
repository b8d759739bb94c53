"""Converts between the REFER layout, COCO json and JSON Lines without losing anything."""

from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from m3att.data.boxes import box_in
from m3att.data.fields import file_name_of
from m3att.data.own.coco import coco_of_content
from m3att.data.own.content import (
    Content,
    json_bytes,
    named_masks,
    new_folder,
    reason_of,
    unique_by_id,
)
from m3att.data.own.files import no_photo, with_found_names
from m3att.data.own.jsonl import EXTRA, lines_of_content
from m3att.data.own.read import LINES, read_content
from m3att.data.own.standard import Form, with_drawn_masks, with_sizes
from m3att.data.refer.places import usual_photos
from m3att.errors import DataError, counted, shown

COCO = "expressions.json"
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Converted:
    """What a conversion wrote.

    Args:
        path: the file, or the root of the REFER layout.
        refs: number of referents.
        expressions: number of expressions.
        images: number of images.
        faults: what could not be taken along, a line each.
    """

    path: Path
    refs: int
    expressions: int
    images: int
    faults: tuple[str, ...]


def convert(
    place: Path,
    form: Form,
    out: Path,
    split_by: str | None = None,
    copy_images: bool = False,
    progress: Progress | None = None,
    image_root: Path | None = None,
    field: str | None = None,
) -> Converted:
    """Writes a data set in another form to a new folder, which appears only when it is complete.

    Args:
        place: see `read.read_content`.
        form: what to write: ``refer`` makes a root of the REFER layout, ``coco`` a COCO json whose annotations carry
            ``expressions``, ``jsonl`` a line a referent and, where lines cannot hold all, ``extra.json`` beside them.
        out: the new folder.
        split_by: see `read.read_content`.
        copy_images: copy the images into the folder; else they are referred to where they are.
        progress: called with the number of images copied and of all.
        image_root: see `read.read_content`.
        field: see `read.read_content`.

    Raises:
        DataError: where the data set cannot be read, or the folder is not new.
    """
    content = with_found_names(read_content(place, split_by, image_root, field))
    with new_folder(out) as folder:
        written = write_content(content, form, folder, out, copy_images, progress)
    return replace(written, path=out / written.path.relative_to(folder))


def write_content(
    content: Content, form: Form, folder: Path, out: Path, copy_images: bool, progress: Progress | None = None
) -> Converted:
    """Writes records into a folder that will be called ``out``.

    Args:
        content: the records.
        form: to write.
        folder: to write into.
        out: its name once all is written.
        copy_images: copy the photos too.
        progress: called with photos copied and their number.
    """
    # What has only got another id comes along; what lost expressions does not.
    faults = [reason for reason, cost in content.faults.items() if cost] + lost_referents(content)
    if form != "jsonl":
        content = with_sizes(content, faults)
    content = with_drawn_masks(content, form, faults)
    photos = usual_photos(folder, content.dataset).path if form == "refer" else folder / "images"
    if copy_images:
        content, moved = copy_photos(content, photos, faults, progress), "images"
    else:
        moved = Path(os.path.relpath(content.image_root, out)).as_posix()
    if form == "refer":
        path = folder
        if not copy_images:
            link_photos(content, photos)
        write_refer_content(content, folder)
        faults += boxed_referents(content)
    elif form == "coco":
        path = folder / COCO
        path.write_bytes(json_bytes(coco_of_content(content, moved)) + b"\n")
    else:
        path = folder / LINES

        def place_of(name: str) -> str:
            return f"images/{name}" if copy_images else Path(os.path.relpath(content.image_file(name), out)).as_posix()

        lines, extra = lines_of_content(content, moved, place_of)
        path.write_bytes(b"".join(json_bytes(line) + b"\n" for line in lines))
        if extra is not None:
            (folder / EXTRA).write_bytes(json_bytes(extra) + b"\n")
    expressions = sum(len(ref["sentences"]) for ref in content.refs)
    return Converted(
        path, len(content.refs), expressions, len(content.instances["images"]), tuple(dict.fromkeys(faults))
    )


def write_refer_content(content: Content, root: Path) -> None:
    """Writes the annotations of a REFER layout; a referent without a split goes to train, and remembers it."""
    folder = root / content.dataset
    folder.mkdir(parents=True, exist_ok=True)
    refs = [
        {**ref, "split": "train", "extra": {**ref.get("extra", {}), "split": None}} if ref["split"] is None else ref
        for ref in content.refs
    ]
    if content.dataset.startswith("g"):  # gRefCOCO comes as JSON
        (folder / f"grefs({content.split_by}).json").write_bytes(json_bytes(refs))
    else:
        (folder / f"refs({content.split_by}).p").write_bytes(pickle.dumps(refs, protocol=2))
    instances = content.instances
    if not content.every_object:
        instances = {**instances, "extra": {"every_object": False}}
    (folder / "instances.json").write_bytes(json_bytes(instances))


def lost_referents(content: Content) -> list[str]:
    """What is to be said of referents whose image, file, annotation or mask is not there, a line each.

    What a form has a place for comes along all the same, so that nothing is lost on the way back.
    """
    images, annotations = unique_by_id(content.instances["images"]), unique_by_id(content.instances["annotations"])
    faults: list[str] = []
    for ref in content.refs:
        which = f"referent {shown(ref['ref_id'])} ({counted(len(ref['sentences']), 'expression')})"
        masks = named_masks(ref, annotations)
        if ref["image_id"] not in images:
            faults.append(f"{which}: image {shown(ref['image_id'])} is not there, or twice")
        elif not file_name_of(images[ref["image_id"]]):
            faults.append(f"{which}: image {shown(ref['image_id'])} states no file")
        elif masks is None:
            named = shown(ref["ann_id"])
            faults.append(f"{which}: annotation {named} of image {shown(ref['image_id'])} is not there, or twice")
        else:
            faults += [f"{which}: {reason}" for mask in masks[:1] if (reason := reason_of(mask)) is not None]
    return faults


def boxed_referents(content: Content) -> list[str]:
    """What is to be said of referents that have a box and no mask, which the REFER layout is not read with."""
    annotations = unique_by_id(content.instances["annotations"])
    faults: list[str] = []
    for ref in content.refs:
        if any(map(box_in, named_masks(ref, annotations) or ())):
            which = f"referent {shown(ref['ref_id'])} ({counted(len(ref['sentences']), 'expression')})"
            faults.append(f"{which}: has a box and no mask, and the REFER layout is read by its masks")
    return faults


def is_inside(name: str) -> bool:
    """Whether a file name stays in the folder that it starts from."""
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts


def link_photos(content: Content, photos: Path) -> None:
    """Refers to the images where they are, by a link to their folder in the place where the REFER layout has them.

    Raises:
        DataError: where an image lies outside its folder, where no link leads.
    """
    for entry in content.instances["images"]:
        name = entry.get("file_name")
        if isinstance(name, str) and not is_inside(name):
            raise DataError(f"image {name!r} lies outside {content.image_root}: add --copy-images")
    if content.image_root.is_dir():
        photos.parent.mkdir(parents=True, exist_ok=True)
        photos.symlink_to(content.image_root.resolve(), target_is_directory=True)


def copy_photos(content: Content, folder: Path, faults: list[str], progress: Progress | None) -> Content:
    """Copies every image that is there into one folder; ``faults`` gets a line for each that is not.

    Args:
        content: the records.
        folder: to copy into.
        faults: gets a line for each photo that is missing.
        progress: called with photos copied and their number.

    Returns:
        The records, with new names for images that lie outside their folder.
    """
    entries: list[dict[str, Any]] = []
    for number, entry in enumerate(content.instances["images"], start=1):
        name = entry.get("file_name")
        if isinstance(name, str) and name:
            source = content.image_file(name)
            if not is_inside(name):
                name = f"{entry['id']}_{PurePosixPath(name).name}"
                entry = {**entry, "file_name": name}
            if source.is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, folder / name)
            else:
                faults.append(no_photo(source))
        entries.append(entry)
        if progress is not None:
            progress(number, len(content.instances["images"]))
    return replace(content, instances={**content.instances, "images": entries})
