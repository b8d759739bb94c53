"""Prepares the photos on which the scores of the model `photo` are calibrated: none of them is trained on or judged by.

    python benchmarks/calibration_data.py --photos PHOTOS --refer REFER --objects FILE.json --out OUT

PHOTOS holds `refer.jsonl`; its rows of split val that have an outline are read. REFER holds RefCOCO, whose
`instances.json` says which categories those photos show. FILE.json is a COCO file with every object of photos that no
training has seen; expressions for them are written as by `m3att data describe`. OUT/calibration.jsonl receives all of
it. Of every photo, about a fifth of the expressions name nothing in it. Then:

    m3att evaluate --model FOLDER --data.root OUT/calibration.jsonl --data.dataset jsonl --calibrate
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from m3att.data.describe.describe import Wish, describe

NOTHING = 0.25  # expressions that name nothing for each one that names something
SEED = 0


def main() -> None:
    """Reads the arguments and writes the lines."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--refer", type=Path, required=True)
    parser.add_argument("--objects", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="new folder")
    parser.add_argument("--photos-described", type=int, default=60, help="how many photos of FILE.json (default: 60)")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True)
    human = list(human_lines(arguments.photos, arguments.refer / "refcoco" / "instances.json"))
    written = list(described_lines(arguments.objects, arguments.out, arguments.photos_described))
    path = arguments.out / "calibration.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in human + written), encoding="utf-8")
    for name, lines in (("human", human), ("described", written)):
        nothing = sum(len(line["expressions"]) for line in lines if line.get("mask") is None)
        total, photos = sum(len(line["expressions"]) for line in lines), len({line["image"] for line in lines})
        print(f"{path}: {total} {name} expressions on {photos} photos, {nothing} of them name nothing")


def human_lines(photos: Path, instances: Path) -> Iterator[dict[str, Any]]:
    """The outlined referents of val, and for each photo sentences about what it does not show."""
    rows = [json.loads(line) for line in (photos / "refer.jsonl").read_text(encoding="utf-8").splitlines()]
    pool = [(row["category_id"], text) for row in rows if row["split"] == "train" for text in row["expressions"]]
    shown: dict[int, set[int]] = {}
    for entry in json.loads(instances.read_bytes())["annotations"]:
        shown.setdefault(entry["image_id"], set()).add(entry["category_id"])
    counts: dict[int, tuple[str, int]] = {}
    for row in rows:
        if row["split"] != "val" or not row.get("segmentation") or row["visible"] < 1:
            continue
        image = str((photos / row["image"]).resolve())
        counts[row["coco_id"]] = image, counts.get(row["coco_id"], (image, 0))[1] + len(row["expressions"])
        yield {"image": image, "expressions": row["expressions"], "mask": row["segmentation"]}
    for id_, (image, count) in counts.items():
        absent = [text for category, text in pool if category not in shown[id_]]
        drawn = np.random.default_rng([SEED, id_]).permutation(len(absent))[: round(NOTHING * count)]
        for at in drawn:
            yield {"image": image, "expressions": [absent[at]], "no_target": True}


def described_lines(objects: Path, out: Path, photos: int) -> Iterator[dict[str, Any]]:
    """One expression of each object of some photos, and one of something that is not there."""
    content = json.loads(objects.read_bytes())
    images = content["images"][:photos]
    kept = {entry["id"] for entry in images}
    content |= {
        "images": [{**entry, "file_name": str(photo_of(objects, entry["file_name"]))} for entry in images],
        "annotations": [entry for entry in content["annotations"] if entry["image_id"] in kept],
    }
    part = out / "objects.json"
    part.write_text(json.dumps(content), encoding="utf-8")
    made = describe(part, "jsonl", out / "described", Wish(per_object=1, split="val", seed=SEED, absent=1))
    for line in made.path.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        image = str((made.path.parent / entry["image"]).resolve())
        yield {key: entry[key] for key in ("expressions", "mask", "no_target") if key in entry} | {"image": image}


def photo_of(objects: Path, name: str) -> Path:
    """The photo of a COCO file that lies beside it or in its folder `images`."""
    return next(path for path in (objects.parent / "images" / name, objects.parent / name) if path.is_file()).resolve()


if __name__ == "__main__":
    main()
