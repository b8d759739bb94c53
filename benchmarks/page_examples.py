"""Writes the example pictures of the page of `m3att serve`: free photos, and ShapeRef's scenes, with expressions.

    python benchmarks/page_examples.py [--out src/m3att/serve/static/examples]

The photos are those of `examples/`. The scenes are of the split val. The bundled models were trained on none of them.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

from PIL import Image

from m3att.data.shaperef.source import ShapeRefSource

ROOT = Path(__file__).parents[1]
OUT = ROOT / "src" / "m3att" / "serve" / "static" / "examples"
PHOTOS = {
    "astronaut": ("Astronaut", ("the woman", "the woman in orange")),
    "coffee": ("Cup of coffee", ("the cup", "the spoon")),
    "cat": ("Cat", ("the cat",)),
}
"""Names of photos, their titles, and what the page asks of each."""
SIZE = 480
SCENES = {
    3: ("the person in cyan", "the blue bird", "the mushroom"),
    11: ("the white boat", "the orange box", "the bird"),
    25: ("the orange lamp", "the blue lamp", "the lamp with a white base"),
    40: ("the brown box", "the person", "the bird with a purple wing"),
}
"""Numbers of scenes, and what the page asks of each."""


def main() -> None:
    """Write the pictures and the list of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=OUT)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    source = ShapeRefSource("shaperef", "val", max(SCENES) + 1, size=SIZE)
    listed = []
    for name, (title, expressions) in PHOTOS.items():
        shutil.copyfile(ROOT / "examples" / f"{name}.jpg", given.out / f"{name}.jpg")
        listed.append({"file": f"{name}.jpg", "title": title, "model": "photo", "expressions": expressions})
    for number, (index, expressions) in enumerate(SCENES.items(), start=1):
        name = f"scene-{number}.jpg"
        Image.fromarray(source.read(index).image_HWC).save(given.out / name, quality=88)
        listed.append(
            {"file": name, "title": f"Drawn scene {number}", "model": "shaperef-tiny", "expressions": expressions}
        )
    (given.out / "index.json").write_text(json.dumps(listed, indent=1) + "\n", encoding="utf-8")
    print(given.out)


if __name__ == "__main__":
    main()
