"""The page of `m3att report`: one HTML file that loads nothing from anywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from m3att import __version__
from m3att.extras import require
from m3att.report.charts import reliability_chart
from m3att.report.failures import KINDS
from m3att.report.intervals import Interval
from m3att.report.paper_tables import TableView, table_4, table_5
from m3att.report.pictures import Card
from m3att.report.scored import Comparison, Scored, by_kind, by_skill, compare, floors, headline, weakest, worst_failure

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Entry:
    """One run of the report.

    Args:
        name: what the report calls it.
        kind: a few words that say what it is.
        facts: lines about it.
        curves: charts by title.
        scored: its scores, where it has a model or is a file of scores.
        gallery: cards of the best, the median and the worst answers.
        failures: cards of failures by kind.
        tables: ablation tables, each with its notes.
        notes: what could not be shown, and why.
    """

    name: str
    kind: str
    facts: Sequence[str] = ()
    curves: Mapping[str, str] = field(default_factory=dict)
    scored: Scored | None = None
    gallery: Mapping[str, Sequence[Card]] = field(default_factory=dict)
    failures: Mapping[str, Sequence[Card]] = field(default_factory=dict)
    tables: Sequence[TableView] = ()
    notes: Sequence[str] = ()


def write_page(entries: Sequence[Entry], title: str, command: str) -> str:
    """The page as text.

    Args:
        entries: the runs, in the order of the command.
        title: of the page.
        command: that makes it.

    Raises:
        ConfigError: if Jinja is not installed.
    """
    jinja = require("jinja2", "report", "m3att report")
    environment = jinja.Environment(
        loader=jinja.FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"percent": percent, "interval": interval, "signed": signed}
    scored = [entry.scored for entry in entries if entry.scored is not None]
    measured = [(one.name, [one.scores]) for one in scored]
    pairs, apart = compared(scored)
    text: str = environment.get_template("report.html").render(
        title=title,
        command=command,
        version=__version__,
        style=(TEMPLATES / "report.css").read_text(encoding="utf-8"),
        runs=[view(number, entry) for number, entry in enumerate(entries, start=1)],
        pairs=pairs,
        apart=apart,
        first=scored[0].name if scored else "",
        paper=[table_4(measured), table_5(measured)],
        kinds=KINDS,
    )
    return text


def view(number: int, entry: Entry) -> dict[str, Any]:
    """What the template shows of a run; ``number`` makes its anchors."""
    shown: dict[str, Any] = {"entry": entry, "anchor": f"run-{number}"}
    scored = entry.scored
    if scored is None:
        return shown
    skills, kinds = by_skill(scored), by_kind(scored)
    trust = scored.scores.get("reliability")
    return {
        **shown,
        "scored": scored,
        "headline": headline(scored),
        "floors": floors(scored),
        "skills": skills,
        "kinds": kinds,
        "weakest": weakest(skills),
        "failure": worst_failure(kinds),
        "trust": trust,
        "reliability": reliability_chart(trust, f"{entry.name}: reliability") if trust else "",
    }


def compared(scored: Sequence[Scored]) -> tuple[list[Comparison], list[str]]:
    """Every model beside the first one, and the names of those that were scored on other expressions."""
    pairs, apart = [], []
    for other in scored[1:]:
        found = compare(scored[0], other)
        if found is None:
            apart.append(other.name)
        else:
            pairs.append(found)
    return pairs, apart


def percent(share: float) -> str:
    """A share in per cent with one decimal."""
    return f"{100 * share:.1f}"


def interval(figure: Interval) -> str:
    """The ends of an interval in per cent; nothing where it has none."""
    return "" if figure.low == figure.high == figure.value else f"{100 * figure.low:.1f} to {100 * figure.high:.1f}"


def signed(share: float) -> str:
    """A difference in points of per cent, with its sign."""
    return f"{100 * share:+.1f}"
