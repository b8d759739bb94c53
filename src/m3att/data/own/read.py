"""Reads a data set of any form as records: the REFER layout, COCO json and what tools export, JSON Lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from m3att.data.fields import SPLIT_NAMES, file_name_of, plain_id
from m3att.data.own.content import Content, read_json, without
from m3att.data.own.files import file_of_split, own_files, refuse_archive, split_of_file, with_photos
from m3att.data.own.join import joined
from m3att.data.own.jsonl import EXTRA, content_of_converted, content_of_lines, read_lines
from m3att.data.own.tools import content_of_tool, tool_of
from m3att.data.refer.places import find_photos, usual_photos
from m3att.data.refer.records import collector_paused, read_refs
from m3att.errors import DataError, shown

LINES = "expressions.jsonl"
"""The file of lines that a conversion writes."""


def read_content(
    place: Path, split_by: str | None = None, image_root: Path | None = None, field: str | None = None
) -> Content:
    """Reads a data set of any of the three forms.

    Args:
        place: the folder of one data set of the REFER layout (with ``instances.json``), a COCO json or the file of an
            annotation tool, a ``.jsonl``, or a folder that holds one of these, or one a split.
        split_by: which refs file of a REFER folder; needed where it has several.
        image_root: folder of the images; None: looked for.
        field: where a json has its expressions; see `expressions.with_attributes`.

    Raises:
        DataError: where it is none of them, or broken.
    """
    refuse_archive(place)
    with collector_paused():
        if place.suffix == ".jsonl" or (place.is_dir() and any(place.glob("*.jsonl"))):
            return read_jsonl_content(place, image_root)
        if place.is_dir() and any(place.glob("*refs(*).*")):
            return read_refer_content(place, split_by, image_root)
        if place.is_file():
            stated = place.stem if place.stem in SPLIT_NAMES else None
            return with_photos(content_of_tool(place, stated, field), place, stated, image_root)
        files = own_files(place, ".json") or own_files(place, ".xml")
        if files and tool_of(files[0]) == "labelme":
            return with_photos(content_of_tool(place, None, field), place / "labelme", None, image_root)
        splits = list(dict.fromkeys(split_of_file(path, place) for path in files))
        if len(splits) > 1 and None not in splits:
            named = [(file_of_split(place, files[0].suffix, split)[0], split) for split in splits if split is not None]
            return joined(
                [with_photos(content_of_tool(path, split, field), path, split, image_root) for path, split in named],
                place,
            )
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
        refs, instances, photos.path, folder.name, chosen, every_object, faults, photos.family, folder, photos.shared
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
