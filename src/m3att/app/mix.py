"""`m3att data mix`: the union of data sets, without any photo that one is scored on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from m3att.app.console import CommandParser
from m3att.errors import ConfigError


def data_mix(words: Sequence[str], prog: str) -> int:
    """`m3att data mix`.

    Raises:
        ConfigError: where a data set is named twice.
    """
    parser = CommandParser(
        prog,
        "Write the union of data sets that share photos, to train on: every photo that any of them has outside train "
        "is left out of train, every photo that any of them tests on out of val. What is written is read back and "
        "counted.",
        usage=f"{prog} ROOT:DATASET[:SPLIT_BY] [ROOT:DATASET[:SPLIT_BY] ...] --out DIR [OPTION ...]",
    )
    parser.add_argument("parts", nargs="+", metavar="ROOT:DATASET[:SPLIT_BY]", help="as in data:refcoco:unc")
    parser.add_argument(
        "--hold-out",
        nargs="+",
        default=[],
        metavar="ROOT:DATASET[:SPLIT_BY]",
        help="data sets that are only scored on: their photos outside train are left out too, and nothing is taken in",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="new root; whole or not there at all")
    parser.add_argument(
        "--image-root", type=Path, metavar="DIR", help="folder of the photos of all of them (default: looked for)"
    )
    parser.add_argument("--copy-images", action="store_true", help="copy the photos too; else their folders are linked")
    parser.add_argument(
        "--incomplete", action="store_true", help="go on where a data set lacks a split, whose photos are unknown then"
    )
    parser.add_argument(
        "--fault-limit",
        type=int,
        default=10,
        metavar="N",
        help="most referents to leave out for want of their annotations; then it stops (default: %(default)s)",
    )
    given = parser.parse_args(words)
    if given.fault_limit < 0:
        parser.error("--fault-limit must be at least 0")

    from m3att.data.mix.mix import DATASET, SPLIT_BY, mix
    from m3att.data.mix.parts import Part

    parts = [Part.parse(text) for text in given.parts] + [Part.parse(text, trains=False) for text in given.hold_out]
    if len({(part.root.resolve(), part.dataset, part.split_by) for part in parts}) < len(parts):
        raise ConfigError("a data set is named twice: name each once, to mix or to hold out")
    report = mix(parts, given.out, given.incomplete, given.copy_images, given.fault_limit, given.image_root)
    print(report.to_markdown())
    print(
        f"train on it with: --data.root {given.out} --data.dataset {DATASET} --data.split_by {SPLIT_BY}; "
        f"the proof: {given.out / 'mix.json'}"
    )
    return 1 if any(part.left_out for part in report.parts) else 0
