"""`m3att data describe`: expressions for the objects of a data set that has none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from m3att.app.console import CommandParser, progress_bar
from m3att.app.converted import add_target_options, print_written

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
    add_target_options(parser, default="coco")
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
    return print_written(written)
