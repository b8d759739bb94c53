"""`m3att models`: the models that come with the package."""

from __future__ import annotations

import json
from collections.abc import Sequence

from m3att.app.console import CommandParser, show


def models(words: Sequence[str], prog: str) -> int:
    """`m3att models`."""
    CommandParser(prog, "List the models that come with the package; --model takes their names.").parse_args(words)

    from m3att.model_folder import BUNDLED, CONFIG, DEFAULT_MODEL, bundled_models
    from m3att.report.tables import plain_table

    rows = []
    for name in bundled_models():
        size = sum(path.stat().st_size for path in (BUNDLED / name).iterdir())
        config = json.loads((BUNDLED / name / CONFIG).read_text(encoding="utf-8"))
        default = " (default)" if name == DEFAULT_MODEL else ""
        rows.append((name + default, f"{size / 1e6:.1f} MB", config.get("world") or "photos"))
    if not rows:
        print("no model comes with this installation; train one: m3att train --preset shaperef-tiny-hour --out RUN")
        return 0
    show(plain_table(("model", "size", "knows"), rows))
    return 0
