"""Prepares the data with which `finetune.py` measures fine-tuning: 50 photos as a CVAT export, and what is old.

    python benchmarks/finetune_data.py --photos PHOTOS --unseen COCO_PHOTOS --out OUT

PHOTOS is that of `photo_data.py`: `polygons.json` (COCO photos with outlines), `refer.jsonl` and, unpacked, `ccp`
(photos of clothes with label maps). COCO_PHOTOS are COCO photos that no bundled model was trained on (`instances.json`
and `images/`). OUT receives `export/`, 50 photos of `ccp` as CVAT for images 1.1 with their images, `test/`, 150 others
in the same form, and `old.json` and `old_test.json`, two COCO files for `m3att data describe`.

The label maps name eight kinds of things. Here they get names that no model knows, as a factory's own names for its
parts would be. Each kind of a photo has one expression, such as "the morlet".
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
from numpy.typing import NDArray

from photo_data import HELD_OUT, without_photos

PHOTOS, TEST_PHOTOS = 50, 150
SEED = 17
LEAST_AREA = 600  # pixels; the network divides a photo into 20 x 20 cells, in which smaller things are lost
NAMES = {
    "hair": "corvel", "dress": "talvic", "skirt": "morlet", "pants": "bressan", "coat": "undrel", "jacket": "pithol",
    "bag": "gantle", "boots": "fesk",
}  # fmt: skip


def main() -> None:
    """Reads the arguments and writes everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--unseen", type=Path, required=True)
    parser.add_argument("--maps", type=Path, help="folder of ccp; PHOTOS where it is not given")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    folder = (arguments.maps or arguments.photos) / "ccp"
    labels = json.loads((arguments.photos / "ccp_labels.json").read_text(encoding="utf-8"))
    named = {number: NAMES[name] for number, name in enumerate(labels) if name in NAMES}
    maps = sorted((folder / "labels").iterdir())
    order = np.random.default_rng(SEED).permutation(len(maps))
    chosen = [maps[number] for number in order[: PHOTOS + TEST_PHOTOS]]
    write_export(arguments.out / "export", folder, chosen[:PHOTOS], named)
    write_export(arguments.out / "test", folder, chosen[PHOTOS:], named)
    rows = [json.loads(line) for line in (arguments.photos / "refer.jsonl").read_text(encoding="utf-8").splitlines()]
    held_out = {row["coco_id"] for row in rows if row["split"] in HELD_OUT}
    polygons = json.loads((arguments.photos / "polygons.json").read_bytes())
    write_json(arguments.out / "old.json", without_photos(polygons, held_out, arguments.photos))
    unseen = json.loads((arguments.unseen / "instances.json").read_bytes())
    for entry in unseen["images"]:
        entry["file_name"] = str((arguments.unseen / "images" / entry["file_name"]).resolve())
    write_json(arguments.out / "old_test.json", unseen)


def write_export(out: Path, folder: Path, maps: list[Path], named: dict[int, str]) -> None:
    """Photos and brush masks as CVAT exports them (CVAT for images 1.1, with images)."""
    (out / "images").mkdir(parents=True, exist_ok=True)
    root = ElementTree.Element("annotations")
    ElementTree.SubElement(root, "version").text = "1.1"
    count = 0
    for number, path in enumerate(maps):
        photo = next((folder / "images").glob(f"{path.stem}.*"))
        shutil.copyfile(photo, out / "images" / photo.name)
        labels_HW = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        height, width = labels_HW.shape
        about = {"id": str(number), "name": photo.name, "width": str(width), "height": str(height)}
        image = ElementTree.SubElement(root, "image", about)
        for label, name in named.items():
            mask_HW = labels_HW == label
            if mask_HW.sum() >= LEAST_AREA:
                shape = ElementTree.SubElement(image, "mask", brush(mask_HW, name))
                ElementTree.SubElement(shape, "attribute", {"name": "expression"}).text = f"the {name}"
                count += 1
    ElementTree.ElementTree(root).write(out / "annotations.xml", encoding="utf-8", xml_declaration=True)
    print(f"{out}: {len(maps)} photos, {count} expressions")


def brush(mask_HW: NDArray[np.bool_], label: str) -> dict[str, str]:
    """The attributes of a brush mask: its box, and runs along the rows of that box, the first of them empty."""
    left, top, width, height = cv2.boundingRect(mask_HW.astype(np.uint8))
    flat = mask_HW[top : top + height, left : left + width].ravel()
    ends = np.flatnonzero(np.diff(np.concatenate([[0], flat.view(np.uint8), [2]])))
    runs = np.diff(np.concatenate([[0], ends]))
    box = {"left": str(left), "top": str(top), "width": str(width), "height": str(height)}
    return {
        "label": label,
        "source": "manual",
        "occluded": "0",
        "rle": ", ".join(map(str, runs)),
        **box,
        "z_order": "0",
    }


def write_json(path: Path, content: object) -> None:
    """A JSON file."""
    path.write_text(json.dumps(content), encoding="utf-8")


if __name__ == "__main__":
    main()
