"""Converts between the REFER layout, COCO json and JSON Lines without losing anything."""

from __future__ import annotations

import math
import os
import pickle
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, Literal, get_args

import numpy as np

from m3att.data.annotation import as_array, decode_segmentation, parts_of
from m3att.data.boxes import box_in
from m3att.data.fields import SPLIT_NAMES, file_name_of, is_crowd, plain_id, side_of, stated_mask, states_nothing
from m3att.data.masks import encode_rle, is_polygon, mask_box
from m3att.data.own.coco import coco_of_content
from m3att.data.own.content import (
    Content,
    json_bytes,
    named_masks,
    new_folder,
    read_json,
    reason_of,
    unique_by_id,
    without,
)
from m3att.data.own.files import own_files, with_found_names, with_photos
from m3att.data.own.jsonl import EXTRA, content_of_converted, content_of_lines, lines_of_content, read_lines
from m3att.data.own.tools import content_of_tool, tool_of
from m3att.data.raster import annotated_size
from m3att.data.refer.places import find_photos, usual_photos
from m3att.data.refer.records import collector_paused, read_refs
from m3att.errors import DataError, ImageError, shown

Form = Literal["refer", "coco", "jsonl"]
FORMS: tuple[Form, ...] = get_args(Form)
LINES, COCO = "expressions.jsonl", "expressions.json"
_GIVEN_MASK = "given_mask"
"""Field of an annotation that keeps its run lengths as they were, where another form's tools want them otherwise."""
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


def read_content(
    place: Path, split_by: str | None = None, image_root: Path | None = None, field: str | None = None
) -> Content:
    """Reads a data set of any of the three forms.

    Args:
        place: the folder of one data set of the REFER layout (with ``instances.json``), a COCO json, a ``.jsonl``, or a
            folder that holds one of these two.
        split_by: which refs file of a REFER folder; needed where it has several.
        image_root: folder of the images; None: looked for.
        field: where a json has its expressions; see `expressions.with_attributes`.

    Raises:
        DataError: where it is none of them, or broken.
    """
    with collector_paused():
        if place.suffix == ".jsonl" or (place.is_dir() and any(place.glob("*.jsonl"))):
            return read_jsonl_content(place, image_root)
        if place.is_dir() and any(place.glob("*refs(*).*")):
            return read_refer_content(place, split_by, image_root)
        if place.is_file():
            stated = place.stem if place.stem in SPLIT_NAMES else None
            return with_photos(content_of_tool(place, stated, field), place, stated, image_root)
        files = own_files(place, ".json")
        if files and tool_of(files[0]) == "labelme":
            return with_photos(content_of_tool(place, None, field), place / "labelme", None, image_root)
        if len(files) != 1:
            inside = sorted(path.parent.name for path in place.glob("*/*refs(*).*"))
            advice = f"name one of its data sets: {', '.join(dict.fromkeys(inside))}" if inside else "name a file"
            raise DataError(f"{place}: neither a data set of the REFER layout nor a folder of own data; {advice}")
        return read_content(files[0], split_by, image_root, field)


def read_jsonl_content(place: Path, image_root: Path | None = None) -> Content:
    """Reads JSON Lines, of a folder all; with what a conversion wrote beside them."""
    if place.is_file() and (place.parent / EXTRA).is_file() and place.name == LINES:
        place = place.parent
    files = [place] if place.is_file() else own_files(place, ".jsonl")
    root = place.parent if place.is_file() else place
    lines: list[dict[str, Any]] = []
    splits: list[str | None] = []
    for path in files:
        own = read_lines(path)
        lines += own
        splits += [path.stem if path.stem in SPLIT_NAMES else None] * len(own)
    if not place.is_file() and (place / EXTRA).is_file():
        content = content_of_converted(lines, place / EXTRA)
    else:
        content = content_of_lines(lines, root, str(place), splits)
    return with_photos(content, files[0], None, image_root)


def read_refer_content(folder: Path, split_by: str | None, image_root: Path | None = None) -> Content:
    """Reads a data set's folder of the REFER layout as it stands there, entry by entry.

    Args:
        folder: of the data set.
        split_by: which refs file; None where there is one.
        image_root: folder of the photos; None: looked for.

    Raises:
        DataError: where the folder has no such referents, several of which none was named, or a broken file.
    """
    files = sorted(folder.glob("*refs(*).*"))
    ways = {path.name.partition("(")[2].partition(")")[0]: path for path in files}
    if split_by is None and len(ways) > 1:
        raise DataError(f"{folder}: has refs of {', '.join(ways)}; say which by --split-by")
    chosen = next(iter(ways)) if split_by is None else split_by
    if chosen not in ways:
        raise DataError(f"{folder}: has no refs({chosen}).p, but {', '.join(path.name for path in files)}")
    refs, odd = read_refs(ways[chosen])
    faults = {f"{folder}: {one.reason}": max(1, one.expressions) for one in odd}
    instances = _plain_instances(read_json(folder / "instances.json"), folder / "instances.json", faults)
    # What `write_refer_content` noted about data that had neither splits nor all objects.
    every_object = instances.get("extra") != {"every_object": False}
    instances = instances if every_object else without(instances, "extra")
    for ref in refs:
        if isinstance(ref.get("extra"), dict) and "split" in ref["extra"]:
            ref["split"] = ref["extra"].pop("split")
            if not ref["extra"]:
                del ref["extra"]
    names = [name for entry in instances["images"] if (name := file_name_of(entry))]
    found = find_photos(folder.parent, folder.name, folder, names, image_root)
    photos = found or usual_photos(folder.parent, folder.name)
    return Content(
        refs, instances, photos.path, folder.name, chosen, every_object, faults, photos.family, mask_root=folder
    )


def _plain_instances(instances: Any, path: Path, faults: dict[str, int]) -> dict[str, Any]:
    """An instances.json without entries that nothing can name; ``faults`` gets a line for each of those.

    Raises:
        DataError: where one of its lists is missing.
    """
    plain = dict(instances) if isinstance(instances, dict) else {}
    for key, ids in (("images", ("id",)), ("annotations", ("id", "image_id")), ("categories", ("id",))):
        if not isinstance(plain.get(key), list):
            raise DataError(f"{path}: has no list {key!r} of entries with ids")
        kept = []
        for place, entry in enumerate(plain[key]):
            fields = entry if isinstance(entry, dict) else {}
            numbers = {name: plain_id(fields.get(name)) for name in ids}
            wrong = next((name for name, number in numbers.items() if number is None), None)
            if wrong is not None:
                given = shown(entry[wrong] if wrong in fields else entry)
                faults[f"{path}: entry {place} of {key!r} is left out: {given} is no {wrong!r}"] = 1
                continue
            if not isinstance(entry.get("category_id"), int | str | None):
                numbers["category_id"] = plain_id(entry["category_id"])
            plain_ids = all(type(entry[name]) in (int, str) for name in numbers)
            kept.append(entry if plain_ids else {**entry, **numbers})
        plain[key] = kept
    return plain


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
        place: see `read_content`.
        form: what to write: ``refer`` makes a root of the REFER layout, ``coco`` a COCO json whose annotations carry
            ``expressions``, ``jsonl`` a line a referent and, where lines cannot hold all, ``extra.json`` beside them.
        out: the new folder.
        split_by: see `read_content`.
        copy_images: copy the images into the folder; else they are referred to where they are.
        progress: called with the number of images copied and of all.
        image_root: see `read_content`.
        field: see `read_content`.

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
        which = f"referent {shown(ref['ref_id'])} ({len(ref['sentences'])} expressions)"
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
            which = f"referent {shown(ref['ref_id'])} ({len(ref['sentences'])} expressions)"
            faults.append(f"{which}: has a box and no mask, and the REFER layout is read by its masks")
    return faults


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
                faults.append(f"{error}, so its width and height are not known" if path.is_file() else _gone(path))
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


def _gone(path: Path) -> str:
    return f"{path}: no such image"


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
                faults.append(_gone(source))
        entries.append(entry)
        if progress is not None:
            progress(number, len(content.instances["images"]))
    return replace(content, instances={**content.instances, "images": entries})
