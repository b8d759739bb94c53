"""`m3att report figure`: Figures 7 to 10 of the paper, of a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from m3att.app.console import probe_file
from m3att.app.report.scoring import EXAMPLES, report_parser, score
from m3att.app.scoring import checked_options

if TYPE_CHECKING:
    from PIL import Image

FIGURES = ("7", "8", "9", "10")


def figure(words: Sequence[str], prog: str) -> int:
    """`m3att report figure`: one of the paper's figures, of a model.

    Raises:
        ConfigError: where options contradict each other, or no example fits the figure.
    """
    parser = report_parser(
        prog,
        f"{prog} 7|8|9|10 --model MODEL [--baseline MODEL] --out FILE.png [--data.root ROOT] [OPTION ...]",
        "Draw a figure of the paper of a model: 7, a baseline beside it; 8, long expressions; 9, different targets in "
        "one image; 10, failures by kind. The model is scored first, and a rule chooses the examples.",
    )
    parser.add_argument("number", metavar="FIGURE", help="7, 8, 9 or 10")
    parser.add_argument("--model", type=str, metavar="MODEL", help="a bundled model, a folder or a Hub id")
    parser.add_argument("--baseline", type=str, metavar="MODEL", help="the model that figure 7 compares with")
    parser.add_argument("--out", type=str, metavar="FILE", help="the picture, a PNG")
    parser.add_argument(
        "--examples", type=int, default=EXAMPLES, metavar="N", help="most examples; in figure 10 of each kind"
    )
    parser.add_argument(
        "--attention", action="store_true", help="figures 8 and 9: also show where the words look (LAV and VAL)"
    )
    given = parser.parse_args(words, defaults=False).as_dict()
    options = checked_options(parser, given)
    number = given["number"]
    if number not in FIGURES:
        parser.error(f"no figure {number!r}; there are {', '.join(FIGURES)}")
    for option in ("model", "out"):
        if not given.get(option):
            parser.error(f"--{option} is missing; see {prog} --help")
    if number == "7" and "baseline" not in given:
        parser.error("figure 7 compares with a model: give --baseline")
    if number != "7" and "baseline" in given:
        parser.error("--baseline is of figure 7: leave it out")
    if given.get("attention") and number not in ("8", "9"):
        parser.error(f"--attention has no effect on figure {number}: leave it out")
    if not 1 <= given.get("examples", EXAMPLES) <= 100:
        parser.error(f"--examples: {given['examples']} is out of range, give 1 to 100")
    if Path(given["out"]).suffix.lower() != ".png":
        parser.error(f"--out {given['out']}: is written as PNG, so give a name that ends in .png")
    probe_file(Path(given["out"]), "--out")
    picture = draw_figure(number, given, options)

    from m3att.files import replace_file

    content, path = BytesIO(), Path(given["out"])
    picture.save(content, "PNG", optimize=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, content.getvalue())
    print(f"figure {number}: {path}")
    return 0


def draw_figure(number: str, given: Mapping[str, Any], options: Mapping[str, Any]) -> Image.Image:
    """The figure of the paper.

    Args:
        number: of the figure.
        given: options of the command line.
        options: the settings among them.
    """
    from m3att.report.figures import Model, figure_7, figure_8, figure_9, figure_10

    def scored(model: str) -> Model:
        _, _, answers, painter = score(model, given, options)
        return Model("/".join(Path(model).parts[-2:]), painter, answers)

    rows, attention = given.get("examples", EXAMPLES), bool(given.get("attention"))
    draw: dict[str, Callable[[Model], Image.Image]] = {
        "7": lambda model: figure_7(scored(given["baseline"]), model, rows),
        "8": lambda model: figure_8(model, rows, attention),
        "9": lambda model: figure_9(model, rows, attention),
        "10": lambda model: figure_10(model, rows),
    }
    return draw[number](scored(given["model"]))
