"""What the commands of reports share: options that decide what is scored and how, and the scoring."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from m3att.app.evaluate import TRAINING_SETTINGS, open_model, score_model
from m3att.bounds import RANGES
from m3att.config import DataConfig, EvaluateConfig, RunConfig
from m3att.errors import DataError
from m3att.settings import SettingsParser, add_settings, changed

if TYPE_CHECKING:
    from m3att.app.evaluate import ScoredModel
    from m3att.engine.scores import Scores
    from m3att.report.answers import Answer
    from m3att.report.pictures import Painter

EXAMPLES = 4


def report_parser(prog: str, usage: str, description: str) -> SettingsParser:
    """A parser with the options that decide what is scored and how.

    Args:
        prog: the command's name.
        usage: its usage.
        description: what it does.
    """
    parser = SettingsParser(prog, description=description, usage=usage)
    parser.add_argument("--device", type=str, default="auto", help="cpu, cuda or auto")
    parser.add_argument(
        "--workers", type=int, default=0, help="processes that read the data; 0: this process reads them"
    )
    parser.add_argument("--threads", type=int | None, help="CPU threads")
    add_settings(parser, DataConfig, "data", skip=TRAINING_SETTINGS)
    add_settings(parser, EvaluateConfig, "evaluate")
    return parser


def checked_options(parser: SettingsParser, given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings among the given options; wrong ones are reported before a model is loaded."""
    options = {name: given[name] for name in ("data", "evaluate") if name in given}
    changed(RunConfig(), options)
    for option in ("workers", "threads"):
        allowed = RANGES[f"train.{option}"]
        if given.get(option) is not None and given[option] not in allowed:
            parser.error(f"--{option}: {given[option]} is out of range, give {allowed}")
    return options


def score(
    model: str, given: Mapping[str, Any], options: Mapping[str, Any]
) -> tuple[ScoredModel, Scores, list[Answer], Painter]:
    """Score a model, and sort its answers.

    Args:
        model: its name.
        given: options of the command line.
        options: the settings among them.

    Raises:
        DataError: where no expression was scored by a mask.
    """
    from m3att.report.answers import AnswerLog
    from m3att.report.pictures import Painter

    scored = open_model({**given, "model": model}, options)
    log = AnswerLog(scored.source)
    scores = score_model(scored, given.get("workers", 0), log)
    if not scores.expressions:
        reason = scores.left_out[0].reason if scores.left_out else "there is none with a mask"
        raise DataError(f"{model}: not one expression could be scored: {reason}")
    painter = Painter(scored.pretrained, scored.source, scored.config, scored.device)
    return scored, scores, log.answers(scores), painter
