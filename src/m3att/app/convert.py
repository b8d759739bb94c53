"""`m3att data convert`: a data set in another form."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from m3att.app.console import CommandParser, progress_bar
from m3att.app.converted import add_target_options, print_written


def data_convert(words: Sequence[str], prog: str) -> int:
    """`m3att data convert`: exit code 1 where something could not be taken along."""
    parser = CommandParser(
        prog,
        "Write a data set in another form. Nothing is lost: what the form has no place for is written to extra fields, "
        "and converting back restores it.",
    )
    parser.add_argument(
        "place",
        type=Path,
        metavar="IN",
        help="folder of one data set in the REFER layout (ROOT/refcoco), a json or XML of CVAT, Datumaro, Roboflow, "
        "Label Studio or COCO with expressions, a folder of labelme, or a .jsonl",
    )
    parser.add_argument(
        "--split-by",
        help="author of the split of a data set in the REFER layout; needed if it has several files refs(...)",
    )
    parser.add_argument(
        "--expression-field",
        metavar="NAME",
        help="the field that holds the expressions, or `category` to use the labels as expressions (default: the "
        "usual names)",
    )
    add_target_options(parser)
    given = parser.parse_args(words)

    from m3att.data.own.convert import convert

    with progress_bar("copying") as progress:
        written = convert(
            given.place,
            given.to,
            given.out,
            given.split_by,
            given.copy_images,
            progress,
            given.image_root,
            given.expression_field,
        )
    return print_written(written)
