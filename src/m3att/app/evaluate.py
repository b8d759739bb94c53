"""`m3att evaluate`: scores a model, or a simple baseline, on a split.

PyTorch is imported inside the functions, so that help and errors appear at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

from m3att import __version__
from m3att.app.calibrate import calibrate, check_calibrate
from m3att.app.console import JSON_HELP, one_voice, probe_file, show, write_json
from m3att.app.scoring import ScoredModel, add_scoring_options, checked_options, open_model, score_floor, score_model
from m3att.config import EvaluateConfig
from m3att.errors import ConfigError, DataError
from m3att.launched import process_rank
from m3att.settings import SettingsParser

if TYPE_CHECKING:
    from m3att.engine.scores import Scores

GALLERY_SIZE = 12


@one_voice()
def evaluate(words: Sequence[str], prog: str) -> int:
    """`m3att evaluate`: exit code 1 where expressions were left out.

    Raises:
        ConfigError: where options contradict each other.
        DataError: where not one expression could be scored.
    """
    parser = SettingsParser(
        prog,
        description="Score a model, or a simple baseline, on a split: overall IoU, mean IoU, Pr@0.5 to 0.9, by skill. "
        "Data and protocol are those of the model's training unless an option changes them.",
        usage=f"{prog} --model MODEL | --floor largest [--data.root ROOT] [--data.split SPLIT] [OPTION ...]",
    )
    parser.add_argument("--model", type=str, help="a bundled model, a folder or a Hub id")
    parser.add_argument(
        "--floor", type=str, metavar="largest", help="instead of a model, answer with the largest object of each image"
    )
    parser.add_argument(
        "--json",
        type=str,
        metavar="FILE",
        help=f"also write the figures to this file, as fractions in [0, 1]{JSON_HELP}",
    )
    parser.add_argument(
        "--answers", type=str, metavar="FILE", help="also write a line of JSON for each expression: IoU, score, kind"
    )
    parser.add_argument(
        "--gallery", type=str, metavar="FILE", help="draw examples of right and wrong answers into this PNG"
    )
    parser.add_argument(
        "--gallery-size", type=int, default=GALLERY_SIZE, metavar="N", help="most examples; half of them are right"
    )
    parser.add_argument(
        "--calibrate",
        action="store_true",
        help="fit the scores that `predict` gives to the IoU found here, and store the fit in the model's folder, with "
        "the threshold and the region of this command",
    )
    add_scoring_options(parser)
    parser.add_argument(
        "--protocol", type=get_type_hints(EvaluateConfig)["protocol"], help="short for --evaluate.protocol"
    )
    given = parser.parse_args(words, defaults=False).as_dict()
    if "protocol" in given:
        long = given.get("evaluate", {})
        if long.get("protocol", given["protocol"]) != given["protocol"]:
            parser.error("--protocol is short for --evaluate.protocol: give one of them")
        given["evaluate"] = {**long, "protocol": given["protocol"]}
    options = checked_options(parser, given)
    if ("model" in given) == ("floor" in given):
        parser.error("give either --model (`bundled` is the default one) or --floor largest")
    if given.get("floor", "largest") != "largest":
        parser.error(f"no floor {given['floor']!r}; there is largest")
    idle = [option for option in ("device", "workers", "threads") if option in given and "floor" in given]
    if idle:
        parser.error(f"--{idle[0]} has no effect on a floor, which no network makes: leave it out")
    if "answers" in given and "floor" in given:
        parser.error("--answers sorts what a model answers, a floor has nothing to sort: give --model")
    check_gallery(given)
    if given.get("calibrate"):
        check_calibrate(given)
    files: dict[Path, str] = {}
    for option in ("json", "answers", "gallery"):
        if option in given:
            path = Path(given[option])
            other = files.setdefault(path.resolve(), option)
            if other != option:
                parser.error(f"--{other} and --{option} name the same file: give two")
            probe_file(path, f"--{option}")

    from m3att.engine.distributed import ALONE, leave, together
    from m3att.report.answers import AnswerLog, write_answers
    from m3att.report.tables import (
        PROTOCOLS_NOTE,
        boxes_table,
        protocols_table,
        reliability_line,
        reliability_table,
        scores_heading,
        scores_table,
        skills_table,
    )

    if "floor" in given and process_rank():
        return 0  # one process is enough
    with nullcontext(ALONE) if "floor" in given else together(given.get("device", "auto")) as processes:
        scored = None if "floor" in given else open_model(given, options, processes)
        # Identifies the weights later. It is computed now, because the file may be gone at the end.
        weights = None if scored is None else scored.pretrained.weights_sha256()
        log = None if scored is None or "answers" not in given else AnswerLog(scored.source)
        workers = given.get("workers", 0)
        keeps = bool(given.get("calibrate"))
        scores = score_floor(options) if scored is None else score_model(scored, workers, log, processes, keeps)
        if log is not None:
            log.join(processes)
    leave()
    if not processes.is_first:
        return 1 if scores.left_out else 0
    if not scores.expressions and not scores.boxes:
        reason = scores.left_out[0].reason if scores.left_out else "there is none"
        raise DataError(f"not one expression could be scored: {reason}")
    found = {**scores.to_dict(), "model": given.get("model"), "weights_sha256": weights, "version": __version__}
    print(scores_heading(found))
    if scores.expressions:
        if len(found["protocols"]) > 1:
            show(protocols_table(found))
            print(f"{PROTOCOLS_NOTE}\n\nunder original, by threshold:")
        show(scores_table(found))
    boxes = boxes_table(found)
    if boxes is not None:
        at = "" if "floor" in found else f", at threshold {found['boxes']['threshold']:g}"
        print(f"\nexpressions whose referents have a box and no mask{at}:")
        show(boxes)
    skills = skills_table(found)
    if skills is not None:
        print("\nby skill:" if "floor" in found else f"\nby skill, at threshold {found['threshold']:g}:")
        show(skills)
    reliability = reliability_table(found["reliability"]) if "reliability" in found else None
    if reliability is not None:
        print(f"\n{reliability_line(found)}")
        show(reliability)
    for reason in found["left_out"]["reasons"]:
        print(f"left out: {reason}")
    for note in () if scored is None else scored.source.notes:
        print(f"note: {note}")
    # Files last: should one not be written, the figures are out.
    if "json" in given:
        write_json(Path(given["json"]), found)
    if log is not None:
        write_answers(Path(given["answers"]), log.answers(scores))
    if scored is not None and "gallery" in given:
        write_gallery(Path(given["gallery"]), given.get("gallery_size", GALLERY_SIZE), scored, scores)
    if scored is not None and given.get("calibrate"):
        found["calibration"] = calibrate(scored.pretrained, scores)
        if "json" in given:
            write_json(Path(given["json"]), found)
    return 1 if scores.left_out else 0


def check_gallery(given: Mapping[str, Any]) -> None:
    """Refuse a gallery that cannot be drawn before hours of scoring.

    Raises:
        ConfigError: what is wrong with it.
    """
    if "gallery" not in given:
        if "gallery_size" in given:
            raise ConfigError("--gallery-size needs --gallery FILE")
        return
    if "floor" in given:
        raise ConfigError("--gallery shows the masks of a model, and --floor has none: give --model")
    if Path(given["gallery"]).suffix.lower() != ".png":
        raise ConfigError(f"--gallery {given['gallery']}: is written as PNG, so give a name that ends in .png")
    if given.get("gallery_size", GALLERY_SIZE) < 2:
        raise ConfigError("--gallery-size: give 2 or more, for one right and one wrong answer")


def write_gallery(path: Path, size: int, scored: ScoredModel, scores: Scores) -> None:
    """Draw right and wrong examples to a file, in one step; its folder is made where it is missing.

    Args:
        path: of the picture.
        size: most examples.
        scored: the model and its data.
        scores: of all expressions.
    """
    from m3att.files import replace_file
    from m3att.report.examples import examples_sheet

    sheet = examples_sheet(scored.pretrained, scored.source, scored.config, scores, size, scored.device)
    content = BytesIO()
    sheet.save(content, "PNG", optimize=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, content.getvalue())
    print(f"examples: {path}")
