"""Packs a data set of any form into tar shards that `shards.open_shards` reads."""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

from m3att.data.fields import side_of
from m3att.data.images import SIDEWAYS, decode_orientation, decode_size
from m3att.data.own.content import json_bytes, new_folder
from m3att.data.own.convert import Converted, lost_referents
from m3att.data.own.files import with_found_names
from m3att.data.own.jsonl import lines_of_content
from m3att.data.own.read import read_content
from m3att.data.own.shards import shard_name
from m3att.data.own.standard import with_drawn_masks
from m3att.errors import ImageError

ALL = "all"  # in the names of shards of data that state no split
Progress = Callable[[int, int], None]


def write_shards(
    place: Path,
    out: Path,
    images: int,
    split_by: str | None = None,
    image_root: Path | None = None,
    field: str | None = None,
    progress: Progress | None = None,
) -> Converted:
    """Packs a data set of any form into shards in a new folder, which appears only when it is complete.

    Each image stands in one shard with all of its expressions; one whose expressions are of several splits stands in
    a shard of each. Objects that no expression names are left out.

    Args:
        place: see `read.read_content`.
        out: the new folder.
        images: of a shard.
        split_by: see `read.read_content`.
        image_root: see `read.read_content`.
        field: see `read.read_content`.
        progress: called with the number of images written and of all.

    Raises:
        DataError: where the data set cannot be read, or the folder is not new.
    """
    content = with_found_names(read_content(place, split_by, image_root, field))
    faults = [reason for reason, cost in content.faults.items() if cost] + lost_referents(content)
    content = with_drawn_masks(content, "jsonl", faults)
    grouped: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for line in lines_of_content(content, ".", lambda name: name)[0]:
        kept = {key: value for key, value in line.items() if key not in ("image", "extra", "id")}
        split = line.get("split")
        grouped.setdefault(split if isinstance(split, str) else ALL, {}).setdefault(line["image"], []).append(kept)
    sizes = {image.get("file_name"): image for image in content.instances["images"]}
    total, done, expressions, refs = sum(map(len, grouped.values())), 0, 0, 0
    with new_folder(out) as folder:
        for split, lines in grouped.items():
            names = list(lines)
            count = -(-len(names) // images)
            for number in range(0, len(names), images):
                with tarfile.open(folder / shard_name(split, number // images), "w") as tar:
                    for at, name in enumerate(names[number : number + images], start=number):
                        done += 1
                        photo = content.image_file(name)
                        try:
                            picture = photo.read_bytes()
                        except OSError as error:
                            faults.append(f"{photo}: cannot be read ({error.strerror})")
                            continue
                        key = f"{at:09d}"
                        add_file(tar, key + (photo.suffix.lower() or ".jpg"), picture)
                        size = size_in(sizes.get(name, {}), picture)
                        record = {"name": name, "shards": count, **size, "lines": lines[name]}
                        add_file(tar, f"{key}.json", json_bytes(record))
                        refs += len(lines[name])
                        expressions += sum(len(texts_in(line)) for line in lines[name])
                        if progress is not None:
                            progress(done, total)
    return Converted(out, refs, expressions, total, tuple(dict.fromkeys(faults)))


def size_in(image: Mapping[str, Any], picture: bytes) -> dict[str, int]:
    """The size that the JSON of an image states: that of the annotations, or else of the picture.

    Of a picture that is turned by its EXIF orientation nothing is stated where the annotations state nothing, since its
    outlines tell which way is meant.

    Args:
        image: its entry in the annotations.
        picture: the bytes of its file.
    """
    height, width = side_of(image.get("height")), side_of(image.get("width"))
    if not (height and width):
        try:
            if decode_orientation(picture, "") in SIDEWAYS:
                return {}
            height, width = decode_size(picture, "")
        except ImageError:  # told when the image is read
            return {}
    return {"height": height, "width": width}


def texts_in(line: dict[str, Any]) -> list[str]:
    """The expressions of a line that `lines_of_content` made."""
    texts = next(line[key] for key in ("expressions", "expression") if key in line)
    return [texts] if isinstance(texts, str) else list(texts)


def add_file(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    """Add a file to a tar, the same bytes every time.

    Args:
        tar: open for writing.
        name: of the file in it.
        content: of the file.
    """
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    tar.addfile(entry, BytesIO(content))
