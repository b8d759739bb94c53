"""`m3att presets`: the named experiments."""

from __future__ import annotations

from collections.abc import Sequence

from m3att.app.console import CommandParser, show
from m3att.presets import PRESETS, find_preset


def presets(words: Sequence[str], prog: str) -> int:
    """`m3att presets`."""
    parser = CommandParser(prog, "List the presets of m3att train, or describe one.", usage=f"{prog} [NAME]")
    parser.add_argument("name", nargs="?", metavar="NAME", help="say the command, time and expected score of this one")
    name = parser.parse_args(words).name
    if name is not None:
        print(find_preset(name).description)
        return 0

    from m3att.report.tables import plain_table

    rows = ((name, preset.description.partition("; ")[2]) for name, preset in PRESETS.items())
    show(plain_table(("preset", "needs, takes and reaches"), rows))
    print("m3att presets NAME says the command of one; m3att train --preset NAME --dry-run what it costs")
    return 0
