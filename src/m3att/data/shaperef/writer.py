"""Writes ShapeRef to disk in the layout of RefCOCO, so that one loader reads both."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
from pycocotools import mask as coco_mask

from m3att.data.shaperef.source import IDS_PER_IMAGE, ShapeRefSource
from m3att.data.shaperef.world import KINDS, SPLITS
from m3att.errors import DataError
from m3att.files import finished_name, replace_file

# Tells a folder of ours, finished or not, from anyone else's.
_MARK = "shaperef.json"
_CATEGORY = {kind: number for number, kind in enumerate(KINDS, start=1)}
_FAMILY = {
    "person": "person", "car": "vehicle", "boat": "vehicle", "house": "building", "fish": "animal", "bird": "animal",
    "cup": "household", "lamp": "household", "box": "household", "flower": "plant", "mushroom": "plant",
    "tree": "plant",
}  # fmt: skip


def write_refer(
    out: Path,
    variant: str,
    images_per_split: dict[str, int],
    seed: int = 0,
    size: int = 160,
    progress: Callable[[int, int], None] | None = None,
    overwrite: bool = False,
) -> None:
    """Writes one variant: ``out/variant/refs(unc).p``, ``out/variant/instances.json``, ``out/images/variant/*.jpg``.

    The samples are those that ``ShapeRefSource`` draws for the same arguments. ``instances.json`` comes last, so a run
    that was cut short leaves a folder that no loader takes for a data set; calling again starts it anew.

    Args:
        out: root of the data sets; made where it is missing.
        variant: one of ``world.VARIANTS``.
        images_per_split: how many images of which splits.
        seed: another seed, another data set.
        size: height and width of the pictures in pixels.
        progress: called after each image with the number done and the number in all.
        overwrite: replace a whole ShapeRef of other settings too.

    Raises:
        DataError: for an unknown variant or split, or where the folders hold anything but an earlier ShapeRef, or a
            whole one of other settings that is not to be overwritten.
    """
    sources = [
        ShapeRefSource(variant, split, images_per_split[split], seed, size)
        for split in (*SPLITS, *(name for name in images_per_split if name not in SPLITS))
        if images_per_split.get(split, 0) != 0
    ]
    if not sources:
        raise DataError(f"ShapeRef {variant}: no images asked for; give a number for at least one split")
    folder, pictures = out / variant, out / "images" / variant
    settings = {"generator": "m3att shaperef", "variant": variant, "seed": seed, "size": size,
                "images": {source.split: len(source) for source in sources}}  # fmt: skip
    mark = json.dumps(settings, indent=1).encode()
    is_whole = (folder / _MARK).is_file() and (folder / "instances.json").is_file()
    if is_whole and not overwrite and (folder / _MARK).read_bytes() != mark:
        raise DataError(f"{folder} holds a ShapeRef of other settings: choose another --out, or give --overwrite")
    _clear(out, folder, pictures)
    replace_file(folder / _MARK, mark)

    total, done = sum(len(source) for source in sources), 0
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    refs: list[dict[str, object]] = []
    for source in sources:
        for index in range(len(source)):
            stem = f"shaperef_{source.split}_{index:09d}"
            scene, _ = source.described(index)
            (pictures / f"{stem}.jpg").write_bytes(scene.jpeg)
            image_id = source.image_id(index)
            images.append({"id": image_id, "file_name": f"{stem}.jpg", "height": size, "width": size})
            annotations += _annotations(source, index)
            refs += _refs(source, index, stem)
            done += 1
            if progress is not None:
                progress(done, total)
    instances = {
        "info": {"description": f"ShapeRef {variant}, drawn by m3att", "seed": seed},
        "licenses": [],
        "images": images,
        "annotations": annotations,
        "categories": [
            {"id": number, "name": kind, "supercategory": _FAMILY.get(kind, "shape")}
            for kind, number in _CATEGORY.items()
        ],
    }
    replace_file(folder / "refs(unc).p", pickle.dumps(refs, protocol=2))
    replace_file(folder / "instances.json", json.dumps(instances).encode())


def _clear(out: Path, folder: Path, pictures: Path) -> None:
    """Makes both folders, empty of an earlier ShapeRef; refuses what is not ours."""
    for path in (out, folder, pictures):
        if path.exists() and not path.is_dir():
            raise DataError(f"{path} is a file where ShapeRef needs a folder: choose another --out")
    ours = (folder / _MARK).is_file()
    names = {"refs(unc).p", "instances.json", _MARK}
    foreign = [path for path in _listed(folder) if not ours or (finished_name(path.name) or path.name) not in names]
    foreign += [path for path in _listed(pictures) if not ours or not _is_picture(path.name)]
    if foreign:
        raise DataError(f"{foreign[0]} is not of ShapeRef's making: choose an empty folder as --out, or remove it")
    # The annotations go first: from here on nothing takes the folder for a finished data set.
    for path in (folder / "instances.json", folder / "refs(unc).p", *_listed(pictures)):
        path.unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    pictures.mkdir(parents=True, exist_ok=True)


def _is_picture(name: str) -> bool:
    return name.startswith("shaperef_") and name.endswith(".jpg")


def _listed(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _annotations(source: ShapeRefSource, index: int) -> list[dict[str, object]]:
    scene, _ = source.described(index)
    found: list[dict[str, object]] = []
    for number, (thing, mask_HW) in enumerate(zip(scene.facts.objects, scene.masks_OHW, strict=True)):
        run_lengths = coco_mask.encode(np.asfortranarray(mask_HW.view(np.uint8)))
        x0, y0, x1, y1 = thing.box
        found.append({
            "id": source.image_id(index) * IDS_PER_IMAGE + number,
            "image_id": source.image_id(index),
            "category_id": _CATEGORY[thing.kind],
            "bbox": [x0, y0, x1 - x0, y1 - y0],
            "area": float(thing.visible_area),
            "iscrowd": 0,
            "segmentation": {"size": list(mask_HW.shape), "counts": run_lengths["counts"].decode("ascii")},
        })  # fmt: skip
    return found


def _refs(source: ShapeRefSource, index: int, stem: str) -> list[dict[str, object]]:
    scene, descriptions = source.described(index)
    image_id = source.image_id(index)
    refs: list[dict[str, object]] = []
    for group in source.expression_groups(index):
        number = descriptions[group[0]].object_index
        sentences = [
            {
                "tokens": descriptions[position].text.split(),
                "raw": descriptions[position].text,
                "sent": descriptions[position].text,
                "sent_id": image_id * IDS_PER_IMAGE + position,
                "skills": list(descriptions[position].skills),
            }
            for position in group
        ]
        ref_id = image_id * IDS_PER_IMAGE + number
        refs.append({
            "ref_id": ref_id,
            "ann_id": ref_id,
            "image_id": image_id,
            "split": source.split,
            "category_id": _CATEGORY[scene.facts.objects[number].kind],
            "file_name": f"{stem}_{ref_id}.jpg",
            "sent_ids": [sentence["sent_id"] for sentence in sentences],
            "sentences": sentences,
        })  # fmt: skip
    return refs
