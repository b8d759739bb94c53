"""Draws the picture at the top of the README: an example and what bundled weights find in it.

python benchmarks/demo_picture.py [--out docs/images/demo.png]
python benchmarks/demo_picture.py --image examples/coffee.jpg --model photo --expressions "the cup" "the spoon"
"""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image

from m3att import Segmenter
from m3att.overlay import draw_overlay
from m3att.report.gallery import contact_sheet

EXPRESSIONS = ("the person in yellow", "the person that is not yellow", "the mushroom above the ball")
IMAGE = Path(__file__).parents[1] / "examples" / "scene.jpg"


def main() -> None:
    """Segment, put side by side, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs/images/demo.png"))
    parser.add_argument("--image", type=Path, default=IMAGE)
    parser.add_argument("--model", default="bundled")
    parser.add_argument("--expressions", nargs="+", default=EXPRESSIONS)
    given = parser.parse_args()
    scene = Segmenter.from_pretrained(given.model).encode(given.image)
    panels = [(Image.open(given.image), "the image")]
    panels += [(draw_overlay(found.image, found.mask), found.expression) for found in scene.segment(given.expressions)]
    given.out.parent.mkdir(parents=True, exist_ok=True)
    contact_sheet(panels, columns=min(4, len(panels)), width=300).save(given.out)
    print(given.out)


if __name__ == "__main__":
    main()
