"""Draws the example pictures of the page of `m3att serve`: ShapeRef's scenes, each with three expressions.

    python benchmarks/page_examples.py [--out src/m3att/serve/static/examples]

The scenes are of the split val, which the bundled models were not trained on.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from PIL import Image

from m3att.data.shaperef.source import ShapeRefSource

OUT = Path(__file__).parents[1] / "src" / "m3att" / "serve" / "static" / "examples"
SCENES, SIZE, EXPRESSIONS = (3, 11, 25, 40), 480, 3


def main() -> None:
    """Write the pictures and the list of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=OUT)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    source = ShapeRefSource("shaperef", "val", max(SCENES) + 1, size=SIZE)
    listed = []
    for number, index in enumerate(SCENES, start=1):
        sample = source.read(index)
        firsts = [group[0] for group in source.expression_groups(index)][:EXPRESSIONS]
        name = f"scene-{number}.jpg"
        Image.fromarray(sample.image_HWC).save(given.out / name, quality=88)
        texts = [sample.expressions[at] for at in firsts]
        listed.append({"file": name, "title": f"Drawn scene {number}", "model": "shaperef-tiny", "expressions": texts})
    (given.out / "index.json").write_text(json.dumps(listed, indent=1) + "\n", encoding="utf-8")
    print(given.out)


if __name__ == "__main__":
    main()
