"""Draws the picture at the top of the README: example photos and what the model for photos finds in them.

python benchmarks/demo_picture.py [--out docs/images/demo.png]
python benchmarks/demo_picture.py --model shaperef-tiny --image examples/scene.jpg --expressions "the person in yellow"
"""

from __future__ import annotations

import argparse
from pathlib import Path

from m3att import Segmenter
from m3att.overlay import draw_overlay
from m3att.report.gallery import contact_sheet

EXAMPLES = Path(__file__).parents[1] / "examples"
PHOTOS = {"astronaut.jpg": ["the woman"], "coffee.jpg": ["the cup", "the spoon"], "cat.jpg": ["the cat"]}


def main() -> None:
    """Segment, put side by side, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs/images/demo.png"))
    parser.add_argument("--model", default="photo")
    parser.add_argument("--image", type=Path, help="another picture than the example photos")
    parser.add_argument("--expressions", nargs="+", default=[])
    given = parser.parse_args()
    if (given.image is None) != (not given.expressions):
        parser.error("--image and --expressions go together")
    segmenter = Segmenter.from_pretrained(given.model)
    asked = {EXAMPLES / name: texts for name, texts in PHOTOS.items()}
    if given.image is not None:
        asked = {given.image: given.expressions}
    panels = [
        (draw_overlay(found.image, found.mask), found.expression)
        for path, texts in asked.items()
        for found in segmenter.encode(path).segment(texts)
    ]
    given.out.parent.mkdir(parents=True, exist_ok=True)
    contact_sheet(panels, columns=min(4, len(panels)), width=300).save(given.out)
    print(given.out)


if __name__ == "__main__":
    main()
