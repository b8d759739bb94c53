"""Prepares the photos on which the scores of the model `photo` are calibrated: none of them is trained on or judged by.

    python benchmarks/calibration_data.py --photos PHOTOS --refer REFER --objects FILE.json --out OUT

PHOTOS holds `refer.jsonl`; its rows of split val that have an outline are read. REFER holds RefCOCO, whose
`instances.json` says which categories those photos show. FILE.json is a COCO file with every object of photos that no
training has seen; expressions for them are written as by `m3att data describe`. OUT/calibration.jsonl receives all of
it. Of every photo, about a fifth of the expressions name nothing in it. Then:

    m3att evaluate --model FOLDER --data.root OUT/calibration.jsonl --data.dataset jsonl --calibrate

With `--judge ROOT`, a REFER folder with photos, OUT/absent.jsonl receives eight sentences for each of its photos that
name nothing there. They only measure what scores such sentences get.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from m3att.data.describe.describe import Wish, describe

OF_JUDGE = 8  # sentences of a judge's photo
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
    parser.add_argument("--judge", type=Path, metavar="ROOT")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True)
    human = list(human_lines(arguments.photos, arguments.refer / "refcoco" / "instances.json"))
    if arguments.judge is not None:
        lines = list(judge_lines(arguments.photos, arguments.judge))
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (arguments.out / "absent.jsonl").write_text(text, encoding="utf-8")
    written = list(described_lines(arguments.objects, arguments.out, arguments.photos_described))
    path = arguments.out / "calibration.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in human + written), encoding="utf-8")
    for name, lines in (("human", human), ("described", written)):
        nothing = sum(len(line["expressions"]) for line in lines if line.get("mask") is None)
        total, photos = sum(len(line["expressions"]) for line in lines), len({line["image"] for line in lines})
        print(f"{path}: {total} {name} expressions on {photos} photos, {nothing} of them name nothing")


def human_lines(photos: Path, instances: Path) -> Iterator[dict[str, Any]]:
    """The outlined referents of val, and for each photo sentences about what it does not show."""
    rows, shown = rows_of(photos), categories_of(json.loads(instances.read_bytes()))
    counts: dict[int, tuple[str, int]] = {}
    for row in rows:
        if row["split"] != "val" or not row.get("segmentation") or row["visible"] < 1:
            continue
        image = str((photos / row["image"]).resolve())
        counts[row["coco_id"]] = image, counts.get(row["coco_id"], (image, 0))[1] + len(row["expressions"])
        yield {"image": image, "expressions": row["expressions"], "mask": row["segmentation"]}
    for id_, (image, count) in counts.items():
        yield from absent_lines(image, id_, shown[id_], rows, round(NOTHING * count))


def judge_lines(photos: Path, root: Path) -> Iterator[dict[str, Any]]:
    """Sentences about what the photos of a REFER folder do not show."""
    content = json.loads((root / "refcoco" / "instances.json").read_bytes())
    rows, shown = rows_of(photos), categories_of(content)
    for entry in content["images"]:
        image = str(next(root.glob(f"images/**/{entry['file_name']}")).resolve())
        yield from absent_lines(image, entry["id"], shown[entry["id"]], rows, OF_JUDGE)


def absent_lines(
    image: str, id_: int, shown: set[int], rows: list[dict[str, Any]], count: int
) -> Iterator[dict[str, Any]]:
    """Sentences of training photos about categories that a photo does not show.

    Args:
        image: the photo's file.
        id_: its number in COCO.
        shown: its categories.
        rows: of `refer.jsonl`.
        count: how many sentences.
    """
    train = [row for row in rows if row["split"] == "train" and row["category_id"] not in shown]
    absent = [text for row in train for text in row["expressions"]]
    for at in np.random.default_rng([SEED, id_]).permutation(len(absent))[:count]:
        yield {"image": image, "expressions": [absent[at]], "no_target": True}


def rows_of(photos: Path) -> list[dict[str, Any]]:
    """The rows of `refer.jsonl`."""
    return [json.loads(line) for line in (photos / "refer.jsonl").read_text(encoding="utf-8").splitlines()]


def categories_of(content: dict[str, Any]) -> dict[int, set[int]]:
    """The categories that each photo shows, crowds included."""
    shown: dict[int, set[int]] = {}
    for entry in content["annotations"]:
        shown.setdefault(entry["image_id"], set()).add(entry["category_id"])
    return shown


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
