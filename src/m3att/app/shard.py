"""`m3att data shard`: a data set in tar shards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from m3att.app.console import CommandParser, progress_bar
from m3att.app.converted import print_written
from m3att.errors import ConfigError

IMAGES = 1000


def data_shard(words: Sequence[str], prog: str) -> int:
    """`m3att data shard`: exit code 1 where something could not be taken along.

    Raises:
        ConfigError: where a shard would hold no image.
    """
    parser = CommandParser(
        prog,
        "Pack photos and expressions into tar shards, in the form of WebDataset. Train on them with --data.dataset "
        "shards. A network drive serves a few large files faster than many small ones.",
    )
    parser.add_argument(
        "place",
        type=Path,
        metavar="IN",
        help="folder of one data set in the REFER layout (ROOT/refcoco), a COCO json or a file of an annotation tool, "
        "a .jsonl, or a folder of these",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="new folder to write to")
    parser.add_argument(
        "--images", type=int, default=IMAGES, metavar="N", help="images in a shard (default: %(default)s)"
    )
    parser.add_argument("--split-by", help="author of the split of a data set in the REFER layout")
    parser.add_argument("--image-root", type=Path, metavar="DIR", help="folder of the images")
    parser.add_argument("--expression-field", metavar="NAME", help="the field that holds the expressions")
    given = parser.parse_args(words)
    if given.images < 1:
        raise ConfigError("--images: give 1 or more")

    from m3att.data.own.shard_writer import write_shards

    with progress_bar("packing") as progress:
        written = write_shards(
            given.place,
            given.out,
            given.images,
            given.split_by,
            given.image_root,
            given.expression_field,
            progress,
        )
    return print_written(written)
