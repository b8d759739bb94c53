"""`m3att data convert`: a data set in another form."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from m3att.app.console import CommandParser, progress_bar
from m3att.errors import counted

_NAMED = 5  # faults that are printed; the rest are counted


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
        "--to",
        choices=("refer", "coco", "jsonl"),
        required=True,
        help="refer: a folder in the REFER layout; coco: a COCO json with `expressions` at its annotations; jsonl: "
        "JSON Lines",
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="new folder to write to; it appears only when everything is written",
    )
    parser.add_argument(
        "--split-by",
        help="author of the split of a data set in the REFER layout; needed if it has several files refs(...)",
    )
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
    parser.add_argument(
        "--expression-field",
        metavar="NAME",
        help="the field that holds the expressions, or `category` to use the labels as expressions (default: the "
        "usual names)",
    )
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
    for fault in written.faults[:_NAMED]:
        print(f"fault: {fault}")
    if len(written.faults) > _NAMED:
        print(f"... and {len(written.faults) - _NAMED:,} more")
    print(
        f"{counted(written.refs, 'referent')} with {counted(written.expressions, 'expression')} on "
        f"{counted(written.images, 'image')}: {written.path}"
    )
    return 1 if written.faults else 0
