"""`m3att report`: what runs learned, how good their models are and where they fail, as one page.

PyTorch is imported inside the functions, so that help and errors appear at once.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from m3att.app.console import probe_file
from m3att.app.report.scoring import EXAMPLES, report_parser
from m3att.app.report.targets import find_targets
from m3att.app.scoring import checked_options
from m3att.extras import require

if TYPE_CHECKING:
    from m3att.report.page import Entry


def report(words: Sequence[str], prog: str) -> int:
    """`m3att report`: exit code 1 where expressions were left out.

    Raises:
        ConfigError: where options contradict each other, or a run is none.
    """
    parser = report_parser(
        prog,
        f"{prog} RUN [RUN ...] [--out report.html] [--data.root ROOT] [--data.split SPLIT] [OPTION ...]",
        "Write a page about runs: training curves, figures with intervals, failures by kind with pictures, skills, "
        "calibration, ablation tables, and the paper's tables beside. RUN is the folder of a training or of ablations, "
        "a model (bundled, a folder or a Hub id), or a file that `m3att evaluate --json` wrote. Models are scored on "
        "the data of their training unless an option changes them.",
    )
    parser.add_argument(
        "runs", nargs="+", metavar="RUN", help="what to report on; the first is compared with the others"
    )
    parser.add_argument("--out", type=str, default="report.html", metavar="FILE", help="the page")
    parser.add_argument("--title", type=str, metavar="TEXT", help="title of the page")
    parser.add_argument(
        "--examples", type=int, default=EXAMPLES, metavar="N", help="pictures of each kind of answer; 0: none"
    )
    given = parser.parse_args(words, defaults=False).as_dict()
    options = checked_options(parser, given)
    if not 0 <= given.get("examples", EXAMPLES) <= 100:
        parser.error(f"--examples: {given['examples']} is out of range, give 0 to 100")
    out = Path(given.get("out", "report.html"))
    for library in ("jinja2", "matplotlib"):
        require(library, "report", prog)
    targets = find_targets(given["runs"])
    if out.resolve() in [Path(run).resolve() for run in given["runs"]]:
        parser.error(f"--out {out}: is what the report is about; give another file")
    probe_file(out, "--out")

    from m3att.app.report.entries import make_entry
    from m3att.files import replace_file
    from m3att.report.page import write_page

    entries, left_out = [], False
    for target in targets:
        entry, incomplete = make_entry(target, given, options)
        entries.append(entry)
        left_out = left_out or incomplete
    title = given.get("title") or "Report on " + ", ".join(target.name for target in targets)
    page = write_page(entries, title, shlex.join([*prog.split(), *words]))
    out.parent.mkdir(parents=True, exist_ok=True)
    replace_file(out, page.encode(errors="replace"))  # names of files and expressions may hold what is no UTF-8
    for entry in entries:
        print(said_of(entry))
    print(f"report: {out}")
    return 1 if left_out else 0


def said_of(entry: Entry) -> str:
    """One line for the terminal."""
    from m3att.report.scored import by_kind, worst_failure

    if entry.scored is None:
        return f"{entry.name}: {entry.kind}"
    scores = entry.scored.scores
    line = f"{entry.name}: overall IoU {100 * scores['overall_iou']:.1f}, mean IoU {100 * scores['mean_iou']:.1f}"
    failure = worst_failure(by_kind(entry.scored))
    return line if failure is None else f"{line}; most frequent failure: {failure.name} ({failure.expressions})"
