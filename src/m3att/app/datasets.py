"""`m3att data convert` and `m3att data mix`: data sets in, another form or their union out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from m3att.app.commands import CommandParser, progress_bar
from m3att.errors import ConfigError

_NAMED = 5  # faults that are printed; the rest are counted


def data_convert(words: Sequence[str], prog: str) -> int:
    """`m3att data convert`: exit code 1 where something could not be taken along."""
    parser = CommandParser(
        prog,
        "Write a data set in another form, losing nothing: what a form has no place for is carried beside it and comes "
        "back on the way back.",
    )
    parser.add_argument(
        "place",
        type=Path,
        metavar="IN",
        help="folder of one data set in the REFER layout (ROOT/refcoco), a COCO json with expressions, or a .jsonl",
    )
    parser.add_argument(
        "--to",
        choices=("refer", "coco", "jsonl"),
        required=True,
        help="a root of the REFER layout, one COCO json with `expressions` on its annotations, or a line a referent",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="new folder; whole or not there at all")
    parser.add_argument("--split-by", help="which refs(...) of a REFER data set; needed where it has several")
    parser.add_argument("--copy-images", action="store_true", help="copy the images too; else they are referred to")
    given = parser.parse_args(words)

    from m3att.data.own.convert import convert

    with progress_bar("copying") as progress:
        written = convert(given.place, given.to, given.out, given.split_by, given.copy_images, progress)
    for fault in written.faults[:_NAMED]:
        print(f"fault: {fault}")
    if len(written.faults) > _NAMED:
        print(f"... and {len(written.faults) - _NAMED:,} more")
    print(
        f"{written.refs:,} referents with {written.expressions:,} expressions on {written.images:,} images: "
        f"{written.path}"
    )
    return 1 if written.faults else 0


def data_mix(words: Sequence[str], prog: str) -> int:
    """`m3att data mix`."""
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
    report = mix(parts, given.out, given.incomplete, given.copy_images, given.fault_limit)
    print(report.to_markdown())
    print(
        f"train on it with: --data.root {given.out} --data.dataset {DATASET} --data.split_by {SPLIT_BY}; "
        f"the proof: {given.out / 'mix.json'}"
    )
    return 1 if any(part.left_out for part in report.parts) else 0
