"""`m3att finetune`: teaches a trained model your own photos and words, in one command.

PyTorch is imported inside the functions, so that help and errors appear at once.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from m3att.app.console import JSON_HELP, one_voice, probe_file, show, write_json
from m3att.app.dry_run import add_dry_run, run_dry
from m3att.app.run_settings import note_idle, resumed_config, with_options
from m3att.app.train import run_training
from m3att.config import RunConfig
from m3att.engine.run_folder import RunFolder
from m3att.errors import ConfigError
from m3att.launched import process_rank, require_one_process
from m3att.model_folder import BUNDLED_WORD, DEFAULT_MODEL, bundled_models, find_model
from m3att.settings import SettingsParser, add_settings, config_to_yaml, flatten

SHOWN = {"mean_iou": "mean IoU", "precision_0.5": "Pr@0.5", "mean_box_iou": "box IoU", "pointing_accuracy": "pointing"}


@one_voice()
def finetune(words: Sequence[str], prog: str) -> int:
    """`m3att finetune`."""
    parser = SettingsParser(
        prog,
        description="Teach a trained model your own photos and words. It learns the words that it does not know. Data "
        "of the kind that it was trained on (--old) are trained on too, so that it does not forget them, and each "
        "validation scores both. docs/finetuning.md leads from an export of CVAT to a service.",
        usage=f"{prog} DATA [--from MODEL] [--old DATA ...] --out RUN [--section.field VALUE ...] [--resume] | "
        "--dry-run",
    )
    parser.add_argument(
        "data_place",
        nargs="?",
        metavar="DATA",
        help="your own data: a file, a folder or a Hub id; m3att tells its form from the content",
    )
    parser.add_argument(
        "--from", type=str, metavar="MODEL", help=f"a bundled model ({', '.join(bundled_models())}), a folder, a Hub id"
    )
    parser.add_argument(
        "--old",
        type=str,
        nargs="+",
        metavar="DATA",
        help="short for --data.old: data of the kind that the model has learned from. For a model of drawn scenes, "
        "m3att draws them",
    )
    parser.add_argument("--out", type=str, metavar="RUN", help="run folder")
    parser.add_argument("--resume", action="store_true", help="continue the run in --out")
    add_dry_run(parser)
    parser.add_argument(
        "--json",
        type=str,
        metavar="FILE",
        help=f"also write to this file what changed, or what --dry-run found{JSON_HELP}",
    )
    parser.add_argument("--print-config", "--print_config", action="store_true", help="print the settings and stop")
    add_settings(parser, RunConfig, skip=("data.old",))
    given = parser.parse_args(words, defaults=False).as_dict()
    options = {field.name: given[field.name] for field in fields(RunConfig) if field.name in given}
    if not given.get("data_place"):
        parser.error("DATA is missing: name the file or folder of your own data")
    if given.get("dry_run") and given.get("resume"):
        parser.error("--dry-run starts a run anew: leave out --resume")
    if not given.get("out") and not given.get("print_config") and not given.get("dry_run"):
        parser.error("--out is missing: name the run's folder")
    if given.get("json"):
        probe_file(Path(given["json"]), "--json")
    config = wanted_config(given, options)
    out = Path(given.get("out") or "")
    if given.get("resume") and RunFolder(out).is_run:
        settings = asdict(config)
        del settings["train"]["epochs"]  # fine-tuning is always given its steps
        config = resumed_config(out, {}, settings)
    note_idle(config, set(flatten(options)))
    if given.get("print_config"):
        print(config_to_yaml(config), end="")
        return 0
    if not config.data.old:
        print(
            "note: without --old, nothing is known of what the model forgets; see docs/finetuning.md", file=sys.stderr
        )
    if given.get("dry_run"):
        require_one_process()
        return run_dry(config, Path(given["json"]) if given.get("json") else None)
    code = run_training(config, out, bool(given.get("resume")))
    if process_rank():  # the first of several processes tells the rest
        return code

    found = what_changed(RunFolder(out))
    show_changes(found, RunFolder(out))
    if given.get("json"):
        write_json(Path(given["json"]), found)
    return code


def wanted_config(given: Mapping[str, Any], options: Mapping[str, Any]) -> RunConfig:
    """The settings of the run: those of the model, of fine-tuning, of the options, the later ones first.

    Args:
        given: the command's own options.
        options: nested values of settings.

    Raises:
        ConfigError: where they contradict each other.
        DataError: where the data are not there, or of no known kind.
        ModelError: where there is no such model.
    """
    from m3att.data.own.detect import Kind, detect

    data = options.get("data", {})
    if data.get("root") is not None:
        raise ConfigError("data.root: DATA says it already: give one of them")
    place, named = given["data_place"], data.get("dataset")
    new = detect(place) if named is None else Kind(place, named)
    if new.root is None:
        raise ConfigError(f"{place}: is drawn without end; fine-tuning needs data of your own")
    old = tuple(given.get("old") or ())
    for each in old:
        detect(each)
    model = given.get("from") or BUNDLED_WORD
    model = DEFAULT_MODEL if model == BUNDLED_WORD else model
    find_model(model)
    from m3att.engine.finetune import finetune_config
    from m3att.pretrained import load_model  # PyTorch is loaded only after the names are found to be right

    config = finetune_config(model, load_model(model).config, new, old)
    return with_options(config, options)


def what_changed(folder: RunFolder) -> dict[str, Any]:
    """The figures of the first and of the best validation of a run, and how long it took.

    Args:
        folder: of the run, which has ended.

    Returns:
        ``before`` and ``after`` by name, as in metrics.jsonl, the step of the best one, ``better`` (it scores higher
        than the model before the training, or that was not scored), ``steps`` and ``minutes``.
        ``before`` is empty if the run did not validate before its first step.
    """
    from m3att.engine.validation import AGREEMENT, NEW, OLD

    validated = [line for line in folder.read_metrics() if AGREEMENT in line]
    first = validated[0] if validated[0]["step"] == 0 else {}
    best = max((line for line in validated if line["step"]), key=lambda line: float(line[AGREEMENT]))
    names = [name for name in best if name.startswith((f"{NEW}/", f"{OLD}/"))]
    return {
        "before": {name: first[name] for name in names if name in first},
        "after": {name: best[name] for name in names},
        "best_step": best["step"],
        "better": AGREEMENT not in first or best[AGREEMENT] > first[AGREEMENT],
        "steps": validated[-1]["step"],
        "minutes": round(validated[-1]["seconds"] / 60, 1),
    }


def show_changes(found: Mapping[str, Any], folder: RunFolder) -> None:
    """Print what a run changed, in per cent.

    Args:
        found: by `what_changed`.
        folder: of the run.
    """
    from m3att.engine.validation import NEW, OLD
    from m3att.report.tables import plain_table

    rows: list[tuple[str, ...]] = []
    for kind, about in ((NEW, "your data"), (OLD, "old data")):
        for name, title in SHOWN.items():
            key = f"{kind}/{name}"
            if key in found["after"]:
                before, after = found["before"].get(key), 100 * found["after"][key]
                change = ("", f"{after:.1f}", "")
                if before is not None:
                    change = (f"{100 * before:.1f}", f"{after:.1f}", f"{after - 100 * before:+.1f}")
                rows.append((about, title, *change))
    show(plain_table(("validated on", "figure", "before", "after", "change"), rows))
    if not found["better"]:
        print("note: the model did not get better than before the training; docs/finetuning.md says what to try")
    print(
        f"the best model is that of step {found['best_step']:,} of {found['steps']:,}: {folder.best}; "
        f"{found['minutes']:g} minutes"
    )
    print(f"serve it with: {shlex.join(['m3att', 'serve', '--model', str(folder.best)])}")
