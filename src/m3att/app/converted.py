"""What the commands that write a data set share: options of the new data set, and the lines at their end."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from m3att.app.console import CommandParser
from m3att.errors import counted

if TYPE_CHECKING:
    from m3att.data.own.convert import Converted

_NAMED = 5  # faults that are printed; the rest are counted


def add_target_options(parser: CommandParser, default: str | None = None) -> None:
    """Add the options that say where the new data set goes and in which form.

    Args:
        parser: of the command.
        default: form of the data set if none is given; None: the user has to name one.
    """
    parser.add_argument(
        "--to",
        choices=("refer", "coco", "jsonl"),
        default=default,
        required=default is None,
        help="refer: a folder in the REFER layout; coco: a COCO json with `expressions` at its annotations; jsonl: "
        "JSON Lines" + ("" if default is None else " (default: %(default)s)"),
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="new folder to write to; it appears only when everything is written",
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


def print_written(written: Converted) -> int:
    """Print the faults and what was written.

    Returns:
        The exit code: 1 where something was left out.
    """
    for fault in written.faults[:_NAMED]:
        print(f"fault: {fault}")
    if len(written.faults) > _NAMED:
        print(f"... and {len(written.faults) - _NAMED:,} more")
    print(
        f"{counted(written.refs, 'object')} with {counted(written.expressions, 'expression')} on "
        f"{counted(written.images, 'image')}: {written.path}"
    )
    return 1 if written.faults else 0
