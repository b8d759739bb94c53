"""Prepares what the preset `photo` is trained on: cut-outs from label maps, and expressions without held-out photos.

    python benchmarks/photo_data.py --photos PHOTOS --refer REFER --out OUT

PHOTOS holds `polygons.json` (COCO photos with outlines), `refer.jsonl` (among its rows the splits val and judge, the
photos that models are judged by) and, unpacked, the label maps of VOC, CCP and `people`. REFER holds RefCOCO and
RefCOCO+.
What `photo_people.json` says of the people in them (man, woman, boy, girl, child) is written to their `attributes`.
OUT receives `cutouts/*.json`, `refer/`, from which the photos of val and judge are gone in every split, and
`refer_photos.jsonl`, the training rows: outlines where there are any, else boxes.
"""

from __future__ import annotations

import argparse
import json
import pickle
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from m3att.data.own.coco import ABOUT
from m3att.data.refer.pickles import load_plain

HELD_OUT = ("val", "judge")
PEOPLE = Path(__file__).with_name("photo_people.json")  # looked at by eye: set -> who -> keys of `person_keys`
VOC = {
    1: "airplane", 2: "bicycle", 3: "bird", 4: "boat", 5: "bottle", 6: "bus", 7: "car", 8: "cat", 9: "chair",
    10: "cow", 12: "dog", 13: "horse", 14: "motorcycle", 15: "person", 16: "potted plant", 17: "sheep", 19: "train",
    20: "tv",
}  # fmt: skip
LEAST_AREA = 500  # pixels of an object of a label map
LEAST_FILLED = 0.96  # an outline with larger holes has something before it
LEAST_VISIBLE = 0.5  # share of an object's box; of a photo that was cut, less may be in it
PLACE = re.compile(
    r"\b(?:left|right|lft|rght|rt|l|r|\w*most|middle|mid|cent(?:er|re)|top|bottom|upper|lower|lowest|highest|up|down|"
    r"above|below|corner|edge|side|end|far|furthest|farthest|first|second|third|last|1st|2nd|3rd|o ?clock|east|west|"
    r"north|south)\b",
    re.IGNORECASE,
)
"""Words that may be wrong in a photo of which a part was cut off."""
UPRIGHT = 1.4  # height over width of one person; several that stand side by side are wider


def main() -> None:
    """Reads the arguments and writes everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--refer", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--unseen", type=Path, help="COCO photos that are kept for scoring: instances.json and images/")
    parser.add_argument("--maps", type=Path, help="folder of voc, ccp and people; PHOTOS where it is not given")
    arguments = parser.parse_args()
    rows = [json.loads(line) for line in (arguments.photos / "refer.jsonl").read_text(encoding="utf-8").splitlines()]
    held_out = {row["coco_id"] for row in rows if row["split"] in HELD_OUT}
    (arguments.out / "cutouts").mkdir(parents=True, exist_ok=True)
    polygons = json.loads((arguments.photos / "polygons.json").read_bytes())
    write_cutouts(arguments.out / "cutouts" / "coco.json", without_photos(polygons, held_out, arguments.photos))
    maps = arguments.maps or arguments.photos
    for name, objects in (("voc", voc_objects), ("ccp", person_objects), ("people", person_objects)):
        content = content_of_maps(maps / name, objects)
        write_cutouts(arguments.out / "cutouts" / f"{name}.json", content)
    if arguments.unseen:
        (arguments.out / "unseen").mkdir(exist_ok=True)
        unseen = json.loads((arguments.unseen / "instances.json").read_bytes())
        for entry in unseen["images"]:
            entry["file_name"] = str((arguments.unseen / "images" / entry["file_name"]).resolve())
        write_cutouts(arguments.out / "unseen" / "coco_unseen.json", unseen)
    write_lines(arguments.out / "refer_photos.jsonl", rows, arguments.photos)
    for dataset in ("refcoco", "refcoco+"):
        write_refer(arguments.refer / dataset, arguments.out / "refer" / dataset, held_out)


def without_photos(content: dict[str, Any], held_out: set[int], folder: Path) -> dict[str, Any]:
    """A COCO file without some of its photos, with full paths to the others."""
    images = [
        {**entry, "file_name": str((folder / "polygons" / entry["file_name"]).resolve())}
        for entry in content["images"]
        if entry["id"] not in held_out
    ]
    annotations = [entry for entry in content["annotations"] if entry["image_id"] not in held_out]
    return {**content, "images": images, "annotations": annotations}


def content_of_maps(folder: Path, objects: Any) -> dict[str, Any]:
    """A COCO file of the objects in a folder of label maps, whose photos show others that nobody labelled."""
    names: dict[str, int] = {}
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, path in enumerate(sorted((folder / "labels").iterdir()), start=1):
        photo = next((folder / "images").glob(f"{path.stem}.*"))
        labels_HW = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        found = list(objects(labels_HW))
        if not found:
            continue
        images.append({"id": number, "file_name": str(photo.resolve())})
        for name, mask_HW in found:
            code = coco_mask.encode(np.asfortranarray(mask_HW.astype(np.uint8)))
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": names.setdefault(name, len(names) + 1),
                    "iscrowd": 0,
                    "segmentation": {"size": code["size"], "counts": code["counts"].decode()},
                }
            )
    categories = [{"id": id_, "name": name} for name, id_ in names.items()]
    about = {"every_object": False}
    return {ABOUT: about, "images": images, "annotations": annotations, "categories": categories}


def voc_objects(labels_HW: NDArray[np.uint8]) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Objects that stand alone: VOC's classes do not part one dog from the next."""
    for label, name in VOC.items():
        parts = large_parts(labels_HW == label)
        if len(parts) == 1:
            height, width = sides(parts[0])
            if name != "person" or height > UPRIGHT * width:
                yield name, parts[0]


def person_objects(labels_HW: NDArray[np.uint8]) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """The one person of a photo of clothes or people."""
    parts = large_parts(labels_HW > 0)
    if len(parts) == 1:
        yield "person", parts[0]


def large_parts(mask_HW: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    """The parts of a mask of a fair size, none where one has holes."""
    count, parts_HW = cv2.connectedComponents(mask_HW.astype(np.uint8))
    found = [parts_HW == number for number in range(1, count)]
    found = [part_HW for part_HW in found if part_HW.sum() >= LEAST_AREA]
    for part_HW in found:
        outlines, _ = cv2.findContours(part_HW.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        filled_HW = cv2.drawContours(np.zeros(part_HW.shape, np.uint8), outlines, -1, 1, cv2.FILLED)
        if part_HW.sum() < LEAST_FILLED * filled_HW.sum():
            return []
    return found


def sides(mask_HW: NDArray[np.bool_]) -> tuple[int, int]:
    """Height and width of what a mask covers."""
    _, _, width, height = cv2.boundingRect(mask_HW.astype(np.uint8))
    return height, width


def person_keys(name: str, content: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each annotation with its key in `photo_people.json`.

    COCO's ids are public. Others are named by their photo, in VOC by the object's number in it too.
    """
    stems = {entry["id"]: Path(entry["file_name"]).stem for entry in content["images"]}
    seen: dict[int, int] = {}
    for entry in content["annotations"]:
        number = seen[entry["image_id"]] = seen.get(entry["image_id"], -1) + 1
        stem = stems[entry["image_id"]]
        yield (
            {"coco": str(entry["id"]), "coco_unseen": str(entry["id"]), "voc": f"{stem}/{number}"}.get(name, stem),
            entry,
        )


def write_cutouts(path: Path, content: dict[str, Any]) -> None:
    """Writes a COCO file with what is known of its people, and says what it holds."""
    known = json.loads(PEOPLE.read_text(encoding="utf-8"))[path.stem]
    who = {key: person for person, keys in known.items() for key in keys}
    for key, entry in person_keys(path.stem, content):
        if key in who:
            entry["attributes"] = {"person": who[key]}
    path.write_text(json.dumps(content), encoding="utf-8")
    print(f"{path}: {len(content['annotations'])} objects on {len(content['images'])} photos")


def write_lines(path: Path, rows: list[dict[str, Any]], photos: Path) -> None:
    """Writes the training rows as JSON Lines, each with an outline or else a box.

    Where a photo was cut, what lies mostly outside is left out, and so are expressions with words of place.
    """
    held_out = {row["coco_id"] for row in rows if row["split"] in HELD_OUT}
    lines: list[dict[str, Any]] = []
    for row in rows:
        if row["split"] != "train" or row["coco_id"] in held_out or row["visible"] < LEAST_VISIBLE:
            continue
        texts = [text for text in row["expressions"] if row["visible"] == 1 or not PLACE.search(text)]
        if texts:
            place = {"mask": row["segmentation"]} if row.get("segmentation") else {"bbox": row["box"]}
            lines.append({"image": str((photos / row["image"]).resolve()), "expressions": texts, **place})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    counts = {name: [len(line["expressions"]) for line in lines if name in line] for name in ("mask", "bbox")}
    print(
        f"{path}: {len(lines)} rows of {len({line['image'] for line in lines})} photos; expressions with an outline: "
        f"{sum(counts['mask'])}, with a box: {sum(counts['bbox'])}"
    )


def write_refer(folder: Path, out: Path, held_out: set[int]) -> None:
    """A data set without the referents of held-out photos, whatever their split."""
    out.mkdir(parents=True, exist_ok=True)
    refs = load_plain(folder / "refs(unc).p")
    kept = [ref for ref in refs if ref["image_id"] not in held_out]
    (out / "refs(unc).p").write_bytes(pickle.dumps(kept, protocol=2))
    (out / "instances.json").write_bytes((folder / "instances.json").read_bytes())
    print(f"{out}: {len(refs) - len(kept)} of {len(refs)} referents are of held-out photos and left out")


if __name__ == "__main__":
    main()
