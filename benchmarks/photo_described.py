"""Prepares the real photos for which `m3att data describe` writes the expressions that the preset `photo` learns from.

    python benchmarks/photo_described.py --photos PHOTOS --data DATA

PHOTOS is that of `photo_data.py`, and DATA is its OUT. DATA receives `whole/voc.json` (VOC's photos, where kinds that
cannot be told apart are crowd regions), `whole/mosaics.json` (photos of one person side by side, so that "the woman in
red" has others beside it) and `whole/boxes.json` (photos whose objects have boxes alone, without those of
`human-boxes.jsonl`, which models are judged by). DATA also receives `absent.jsonl`: for each photo of
`cutouts/coco.json` and of `whole/boxes.json`, expressions of RefCOCO's training split about categories that the photo
does not show.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from m3att.data.annotation import read_segmentation
from m3att.data.own.coco import ABOUT
from m3att.data.refer.pickles import load_plain
from photo_data import HELD_OUT, LEAST_AREA, UPRIGHT, VOC, large_parts, sides

MOSAICS = 1500
HEIGHT = 320  # pixels of a mosaic
SEED = 5


def main() -> None:
    """Reads the arguments and writes everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--maps", type=Path, help="folder of voc; PHOTOS where it is not given")
    arguments = parser.parse_args()
    whole = arguments.data / "whole"
    (whole / "mosaics").mkdir(parents=True, exist_ok=True)
    cutouts = {
        name: json.loads((arguments.data / f"cutouts/{name}.json").read_bytes()) for name in ("voc", "ccp", "people")
    }
    write(whole / "voc.json", voc_photos((arguments.maps or arguments.photos) / "voc", cutouts["voc"]))
    write(whole / "mosaics.json", mosaics(whole / "mosaics", [cutouts["ccp"], cutouts["people"]]))
    boxes = boxed_photos(arguments.photos)
    write(whole / "boxes.json", boxes)
    polygons = json.loads((arguments.data / "cutouts/coco.json").read_bytes())
    rows = [*absent(polygons, arguments.data / "refer/refcoco", 3), *absent(boxes, arguments.data / "refer/refcoco", 1)]
    path = arguments.data / "absent.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    print(f"{path}: {len(rows)} expressions that name nothing")


def voc_photos(folder: Path, known: dict[str, Any]) -> dict[str, Any]:
    """VOC's photos with an object for each kind that stands alone, and a crowd region for each other kind.

    Args:
        folder: holds `images` and `labels`.
        known: the COCO file of VOC's cut-outs, which tells what is known of people.
    """
    stems = {entry["id"]: Path(entry["file_name"]).stem for entry in known["images"]}
    person = next(entry["id"] for entry in known["categories"] if entry["name"] == "person")
    people = {
        stems[entry["image_id"]]: entry.get("attributes", {})
        for entry in known["annotations"]
        if entry["category_id"] == person
    }
    numbers = {name: number for number, name in enumerate(VOC.values(), start=1)}
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, path in enumerate(sorted((folder / "labels").iterdir()), start=1):
        labels_HW = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        photo = next((folder / "images").glob(f"{path.stem}.*"))
        height, width = labels_HW.shape[:2]
        images.append({"id": number, "file_name": str(photo.resolve()), "height": height, "width": width})
        for label, name in VOC.items():
            mask_HW = labels_HW == label
            if not mask_HW.any():
                continue
            parts = large_parts(mask_HW)
            alone = len(parts) == 1 and parts[0].sum() > mask_HW.sum() - LEAST_AREA / 5
            if alone and name == "person":
                tall, wide = sides(parts[0])
                alone = tall > UPRIGHT * wide and path.stem in people
            entry = outlined(mask_HW, len(annotations) + 1, number, numbers[name], not alone)
            if alone and name == "person":
                entry["attributes"] = people[path.stem]
            annotations.append(entry)
    categories = [{"id": number, "name": name} for name, number in numbers.items()]
    return {ABOUT: {"every_object": False}, "images": images, "annotations": annotations, "categories": categories}


def mosaics(folder: Path, sources: list[dict[str, Any]]) -> dict[str, Any]:
    """Two or three photos of one person each, side by side at the same height.

    Args:
        folder: for the pictures.
        sources: COCO files of photos with one person each.
    """
    singles = [
        (Path(image["file_name"]), entry)
        for source in sources
        for image, entry in zip(source["images"], source["annotations"], strict=True)
    ]
    chance = np.random.default_rng(SEED)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number in range(1, MOSAICS + 1):
        chosen = [singles[at] for at in chance.choice(len(singles), size=int(chance.integers(2, 4)), replace=False)]
        pictures: list[NDArray[np.uint8]] = []
        masks: list[NDArray[np.uint8]] = []
        for path, entry in chosen:
            picture_HWC = cv2.imread(str(path))
            height, width = picture_HWC.shape[:2]
            mask_HW = read_segmentation(entry["segmentation"], height, width).draw().view(np.uint8)
            size = (max(1, round(width * HEIGHT / height)), HEIGHT)
            picture_HWC = cv2.resize(picture_HWC, size, interpolation=cv2.INTER_AREA)
            mask_HW = cv2.resize(mask_HW, size, interpolation=cv2.INTER_LINEAR)
            if chance.random() < 0.5:
                picture_HWC, mask_HW = picture_HWC[:, ::-1], mask_HW[:, ::-1]
            pictures.append(picture_HWC)
            masks.append(mask_HW)
        place = folder / f"{number:04d}.jpg"
        whole_HWC = np.concatenate(pictures, axis=1)
        cv2.imwrite(str(place), whole_HWC, [cv2.IMWRITE_JPEG_QUALITY, 92])
        images.append({"id": number, "file_name": str(place.resolve()), "height": HEIGHT, "width": whole_HWC.shape[1]})
        left = 0
        for (_, entry), mask_HW in zip(chosen, masks, strict=True):
            whole_HW = np.zeros(whole_HWC.shape[:2], dtype=np.bool_)
            whole_HW[:, left : left + mask_HW.shape[1]] = mask_HW > 0
            left += mask_HW.shape[1]
            made = outlined(whole_HW, len(annotations) + 1, number, 1, False)
            annotations.append({**made, "attributes": entry.get("attributes", {})})
    categories = [{"id": 1, "name": "person"}]
    return {ABOUT: {"every_object": False}, "images": images, "annotations": annotations, "categories": categories}


def outlined(mask_HW: NDArray[np.bool_], number: int, image: int, category: int, is_crowd: bool) -> dict[str, Any]:
    """An annotation with a mask as run lengths."""
    code = coco_mask.encode(np.asfortranarray(mask_HW.astype(np.uint8)))
    return {
        "id": number,
        "image_id": image,
        "category_id": category,
        "iscrowd": int(is_crowd),
        "segmentation": {"size": code["size"], "counts": code["counts"].decode()},
    }


def boxed_photos(photos: Path) -> dict[str, Any]:
    """The photos whose objects have boxes alone, without those that models are judged by."""
    held_out = {row["coco_id"] for row in lines(photos / "human-boxes.jsonl")}
    held_out |= {row["coco_id"] for row in lines(photos / "refer.jsonl") if row["split"] in HELD_OUT}
    categories = json.loads((photos / "polygons.json").read_bytes())["categories"]
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for row in lines(photos / "boxes.jsonl"):
        if row["coco_id"] in held_out:
            continue
        images.append(
            {
                "id": row["coco_id"],
                "file_name": str((photos / row["image"]).resolve()),
                "height": row["height"],
                "width": row["width"],
            }
        )
        for category, *box in row["boxes"]:
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": row["coco_id"],
                    "category_id": category,
                    "iscrowd": 0,
                    "bbox": box,
                    "area": box[2] * box[3],
                }
            )
    return {"images": images, "annotations": annotations, "categories": categories}


def absent(content: dict[str, Any], refer: Path, count: int) -> Iterator[dict[str, Any]]:
    """For each photo of a COCO file, expressions of RefCOCO's training split about categories that it does not show.

    Args:
        content: of the file. It has every object of COCO's categories.
        refer: the folder of RefCOCO.
        count: expressions of a photo.
    """
    sayings: dict[int, list[str]] = {}
    for ref in load_plain(refer / "refs(unc).p"):
        if ref["split"] == "train":
            sayings.setdefault(ref["category_id"], []).extend(sentence["sent"] for sentence in ref["sentences"])
    shown: dict[int, set[int]] = {}
    for entry in content["annotations"]:
        shown.setdefault(entry["image_id"], set()).add(entry["category_id"])
    for image in content["images"]:
        chance = np.random.default_rng([SEED, image["id"]])
        others = sorted(sayings.keys() - shown.get(image["id"], set()))
        frequency = np.array([len(sayings[category]) for category in others], dtype=np.float64)
        for category in chance.choice(others, size=count, p=frequency / frequency.sum()):
            yield {
                "image": image["file_name"],
                "expressions": [str(chance.choice(sayings[int(category)]))],
                "no_target": True,
            }


def lines(path: Path) -> list[dict[str, Any]]:
    """The rows of JSON Lines."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def write(path: Path, content: dict[str, Any]) -> None:
    """Writes a COCO file and says what it holds."""
    path.write_text(json.dumps(content), encoding="utf-8")
    print(f"{path}: {len(content['annotations'])} objects on {len(content['images'])} photos")


if __name__ == "__main__":
    main()
