"""What the commands of reports share: options that decide what is scored and how, and the scoring."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from m3att.app.scoring import add_scoring_options, open_model, score_model
from m3att.errors import DataError
from m3att.settings import SettingsParser

if TYPE_CHECKING:
    from m3att.app.scoring import ScoredModel
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
    add_scoring_options(parser)
    return parser


def score(
    model: str, given: Mapping[str, Any], options: Mapping[str, Any], boxes_do: bool = False
) -> tuple[ScoredModel, Scores, list[Answer], Painter]:
    """Score a model, and sort its answers.

    Args:
        model: its name.
        given: options of the command line.
        options: the settings among them.
        boxes_do: whether expressions whose referents have only a box are enough.

    Raises:
        DataError: where no expression was scored by a mask, nor by a box where that is enough.
    """
    from m3att.report.answers import AnswerLog
    from m3att.report.pictures import Painter

    scored = open_model({**given, "model": model}, options)
    log = AnswerLog(scored.source)
    scores = score_model(scored, given.get("workers", 0), log)
    if not scores.expressions and scores.boxes and not boxes_do:
        raise DataError(f"{model}: the data have boxes and no masks, and the figures of the paper need masks")
    if not scores.expressions and not scores.boxes:
        reason = scores.left_out[0].reason if scores.left_out else "there is none with a mask or a box"
        raise DataError(f"{model}: not one expression could be scored: {reason}")
    painter = Painter(scored.pretrained, scored.source, scored.config, scored.device)
    return scored, scores, log.answers(scores), painter
