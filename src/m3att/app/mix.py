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
        "Join data sets that share photos into one to train on. Its train has no photo that any of them has in another "
        "split; its val has no photo that any of them tests on. The command reads the result again and proves this.",
        usage=f"{prog} ROOT:DATASET[:SPLIT_BY] [ROOT:DATASET[:SPLIT_BY] ...] --out DIR [OPTION ...]",
    )
    parser.add_argument(
        "parts",
        nargs="+",
        metavar="ROOT:DATASET[:SPLIT_BY]",
        help="a data set: root folder, name and author of the split, for example data:refcoco:unc",
    )
    parser.add_argument(
        "--hold-out",
        nargs="+",
        default=[],
        metavar="ROOT:DATASET[:SPLIT_BY]",
        help="data sets that you only want to score on: their photos outside train are left out too",
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="new root folder; it appears only when it is complete"
    )
    parser.add_argument(
        "--image-root",
        type=Path,
        metavar="DIR",
        help="folder of the photos of all data sets (default: m3att looks for it near the annotations)",
    )
    parser.add_argument("--copy-images", action="store_true", help="copy the photos (default: link their folders)")
    parser.add_argument(
        "--incomplete",
        action="store_true",
        help="accept data sets that lack a split; its photos are unknown, so they may be in train",
    )
    parser.add_argument(
        "--fault-limit",
        type=int,
        default=10,
        metavar="N",
        help="most referents that may be left out because of their annotations (default: %(default)s)",
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
