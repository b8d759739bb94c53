"""`m3att data describe`: expressions for the objects of a data set that has none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from m3att.app.console import CommandParser, progress_bar
from m3att.errors import counted

_NAMED = 5  # faults that are printed; the rest are counted
_STYLES = ("refcoco", "refcoco+", "refcocog")


def data_describe(words: Sequence[str], prog: str) -> int:
    """`m3att data describe`: exit code 1 where an image could not be described."""
    parser = CommandParser(
        prog,
        "Write expressions for the outlined objects of a COCO json. Each is true of one object of its image only. "
        "It names "
        "the object by kind, place, order, size, measured colour, relation or negation. The result is a data set to "
        "train or score on.",
    )
    parser.add_argument("place", type=Path, metavar="FILE", help="a COCO json of images with outlined objects")
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="new folder to write to; it appears only when everything is written",
    )
    parser.add_argument(
        "--to",
        choices=("refer", "coco", "jsonl"),
        default="coco",
        help="refer: a folder in the REFER layout; coco: a COCO json with `expressions` at its annotations; jsonl: "
        "JSON Lines "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--style",
        nargs="+",
        choices=_STYLES,
        default=_STYLES,
        help="refcoco: short; refcoco+: short, without words of place; refcocog: whole phrases (default: all)",
    )
    parser.add_argument(
        "--per-object", type=int, default=4, metavar="N", help="most expressions for one object (default: %(default)s)"
    )
    parser.add_argument(
        "--absent",
        type=int,
        default=0,
        metavar="N",
        help="also add to each image N expressions of other images that name nothing in it, because it has no object "
        "of their category; the file must outline every object of its categories (default: %(default)s)",
    )
    parser.add_argument("--split", default="train", help="split to put the expressions into (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed for choosing expressions (default: %(default)s)")
    parser.add_argument(
        "--image-root",
        type=Path,
        metavar="DIR",
        help="folder of the images (default: m3att looks for it near the annotations)",
    )
    parser.add_argument(
        "--copy-images",
        action="store_true",
        help="copy the images (default: the new files refer to the images where they are)",
    )
    given = parser.parse_args(words)
    if given.per_object < 1:
        parser.error("--per-object must be at least 1")
    if given.absent < 0:
        parser.error("--absent must be at least 0")
    if given.seed < 0:
        parser.error("--seed must be at least 0")

    from m3att.data.describe.describe import Wish, describe

    wish = Wish(given.per_object, tuple(given.style), given.split, given.seed, given.absent)
    with progress_bar("describing") as progress:
        written = describe(given.place, given.to, given.out, wish, given.copy_images, progress, given.image_root)
    for fault in written.faults[:_NAMED]:
        print(f"fault: {fault}")
    if len(written.faults) > _NAMED:
        print(f"... and {len(written.faults) - _NAMED:,} more")
    counts = f"{counted(written.refs, 'object')} with {counted(written.expressions, 'expression')}"
    print(f"{counts} on {counted(written.images, 'image')}: {written.path}")
    return 1 if written.faults else 0
