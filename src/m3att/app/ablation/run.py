"""One run of an ablation table, in a process of its own: `python -m m3att.app.ablation.run`, with its order on stdin.

It goes on from the run's checkpoint where there is one, scores the last weights, and writes the result in one step.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from m3att.app.ablation.schedule import RESULT
from m3att.app.cli import complain, one_line
from m3att.app.console import MISUSE, OK, STOPPED, write_json
from m3att.app.live import LINE_EVERY_SECONDS, figures_line
from m3att.config import RunConfig
from m3att.data.open import open_source
from m3att.device import choose_device
from m3att.engine.evaluate import evaluate
from m3att.engine.run_folder import RunFolder
from m3att.engine.stopping import Stopping
from m3att.engine.train import train
from m3att.errors import DivergedError, M3AttError, StoppedError
from m3att.pretrained import load_model
from m3att.settings import config_from_dict

CURVE = "val/mean_iou"


def main() -> int:
    """Carry out the order on stdin; returns the exit code. At SIGTERM a training saves a checkpoint first."""
    order = json.load(sys.stdin)
    stop = Stopping()
    try:
        with stop.listening():
            execute(order, stop)
    except StoppedError:
        return STOPPED
    except M3AttError as error:
        complain(f"{order['name']}: {one_line(error)}")
        return MISUSE
    return OK


def execute(order: Mapping[str, Any], stop: Stopping) -> None:
    """Train, score and write the result; a training that diverges is a result too.

    Args:
        order: of `schedule.start`.
        stop: ends the training after a step, or the scoring at once.

    Raises:
        StoppedError: where ``stop`` was asked.
    """
    folder, config, images = Path(order["folder"]), config_from_dict(order["config"]), order["images"]
    try:
        report = reporter(order["name"], order["parent"])
        model = train(config, folder, RunFolder(folder).can_resume, report, stop=stop)
        stop.check()
    except DivergedError as error:
        print(f"{order['name']}: failed: {error}", file=sys.stderr, flush=True)
        write_json(folder / RESULT, {"state": "failed", "reason": str(error)})
        return
    last = RunFolder(folder).last_metrics()
    result = {
        "state": "finished",
        "images_asked": images,
        "learning_rate": config.train.learning_rate,
        "budget": {"steps": last["step"], "batch_size": config.train.batch_size, "input_size": config.input.size},
        "expressions_trained": last["expressions"],
        "seconds": last["seconds"],
        "curve": [
            [line["step"], line["seconds"], line[CURVE]] for line in RunFolder(folder).read_metrics() if CURVE in line
        ],
        "last_metrics": last,
        "scores": score(model, config, images, order["parent"]),
    }
    write_json(folder / RESULT, result)


def score(model: Path, config: RunConfig, images: int | None, parent: int) -> dict[str, Any]:
    """The figures of a model folder on the run's split.

    Args:
        model: the folder.
        config: of the run.
        images: how many of the split; None: all, whatever training was bounded to.
        parent: see stop_without.
    """
    device = choose_device(config.train.device)
    pretrained = load_model(model, device)
    data = replace(config.data, images=images)
    scores = evaluate(
        pretrained.network,
        pretrained.tokenizer,
        open_source(data, data.split),
        config.input,
        config.evaluate,
        data,
        device=device,
        progress=lambda done, batches: stop_without(parent),
    )
    return scores.to_dict()


def reporter(name: str, parent: int) -> Callable[[int, int, dict[str, float]], None]:
    """Says a line a minute and one a validation, and ends the process where nobody waits for it any more."""
    said = time.monotonic()

    def report(step: int, steps: int, figures: dict[str, float]) -> None:
        nonlocal said
        stop_without(parent)
        if any(name.startswith("val/") for name in figures) or (
            figures and time.monotonic() - said > LINE_EVERY_SECONDS
        ):
            said = time.monotonic()
            print(f"{name}: {figures_line(step, steps, figures)}", file=sys.stderr, flush=True)

    return report


def stop_without(parent: int) -> None:
    """End this process if the command that started it was killed: the next one would start the same run."""
    if os.getppid() != parent:
        raise SystemExit("the command that started this run has ended")


if __name__ == "__main__":
    sys.exit(main())
