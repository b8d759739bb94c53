"""`m3att presets`: the named experiments."""

from __future__ import annotations

from collections.abc import Sequence

from m3att.app.console import CommandParser, show
from m3att.presets import PRESETS, find_preset


def presets(words: Sequence[str], prog: str) -> int:
    """`m3att presets`."""
    parser = CommandParser(prog, "List the presets of m3att train, or describe one of them.", usage=f"{prog} [NAME]")
    parser.add_argument(
        "name", nargs="?", metavar="NAME", help="show the command, the time and the expected score of this preset"
    )
    name = parser.parse_args(words).name
    if name is not None:
        print(find_preset(name).description)
        return 0

    from m3att.report.tables import plain_table

    rows = ((name, preset.description.partition("; ")[2]) for name, preset in PRESETS.items())
    show(plain_table(("preset", "needs, takes and reaches"), rows))
    print("m3att presets NAME shows the command of a preset; m3att train --preset NAME --dry-run shows what it costs")
    return 0
