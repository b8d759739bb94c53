"""`m3att data shaperef`: the drawn benchmark, to disk."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from m3att.app.console import CommandParser, progress_bar
from m3att.errors import counted

SHAPEREF_IMAGES = {"train": 4000, "val": 500, "testA": 500, "testB": 500}


def data_shaperef(words: Sequence[str], prog: str) -> int:
    """`m3att data shaperef`."""
    counts = ",".join(f"{split}={count}" for split, count in SHAPEREF_IMAGES.items())
    parser = CommandParser(
        prog,
        "Draw the benchmark ShapeRef to disk, in the REFER layout, which RefCOCO has too. The same seed gives the "
        "same bytes.",
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="root folder of the data sets; the new one gets a folder of its name there",
    )
    parser.add_argument(
        "--variant",
        choices=("shaperef", "shaperef+", "shaperefg"),
        default="shaperef",
        help="kind of expressions: shaperef: short; shaperef+: short, without words of place; shaperefg: long "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--images",
        type=images_per_split,
        default=SHAPEREF_IMAGES,
        metavar="N",
        help=f"number of images in every split, or for each split, as in train=20,val=5 (default: {counts})",
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the random scenes (default: %(default)s)")
    parser.add_argument("--size", type=int, default=160, help="side of the pictures in pixels (default: %(default)s)")
    parser.add_argument(
        "--overwrite", action="store_true", help="replace a ShapeRef in DIR that was drawn with other settings"
    )
    given = parser.parse_args(words)

    from m3att.data.shaperef.writer import write_refer

    with progress_bar("drawing") as progress:
        write_refer(given.out, given.variant, given.images, given.seed, given.size, progress, given.overwrite)
    print(f"{counted(sum(given.images.values()), 'image')} of {given.variant} in {given.out}")
    return 0


def images_per_split(text: str) -> dict[str, int]:
    """Read `500` or `train=4000,val=500`."""
    if text.isdecimal():
        return dict.fromkeys(SHAPEREF_IMAGES, int(text))
    counts: dict[str, int] = {}
    for part in text.split(","):
        split, _, count = part.partition("=")
        if split not in SHAPEREF_IMAGES or not count.isdecimal():
            raise argparse.ArgumentTypeError(f"{part!r} is neither a number nor like train=4000")
        if split in counts:
            raise argparse.ArgumentTypeError(f"{split} is given twice")
        counts[split] = int(count)
    return counts
