"""Kills a training at random moments, lets it go on each time, and compares its end with that of one left alone.

    python benchmarks/kill_proof.py --kills 22 --json FILE

The kill is SIGKILL, which no process can catch. A seed decides the moments: while the training starts, between two
saves, and in the middle of a save. Every training is the command `m3att train --config FILE --out RUN --resume`, which
starts anew where there is no checkpoint yet. Each is a fork of this process, so that it need not import PyTorch again.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file

from m3att.app.cli import main as m3att
from m3att.app.console import write_json
from m3att.data.shaperef.writer import write_refer
from m3att.engine.run_folder import RunFolder

# Every training needs these, and a fork has them already: the last two take PyTorch and the tracker two seconds.
for module in ("m3att.engine.train", "torch._dynamo", "torch.utils.tensorboard"):
    importlib.import_module(module)

MOMENTS = ("start-up", "between saves", "within a save")
CLOCK = ("seconds", "expressions_per_second", "data_wait", "memory_gib")
PATIENCE = 600.0  # seconds that a training may take to reach the moment of its kill
SETTINGS = """
model:
  channels: 16
  vision: {{widths: [8, 16], blocks: [0, 0], encoder_layers: 1}}
  language: {{word_channels: 16, word_dropout: 0.2}}
  decoder: {{layers: 1, heads: 2, feedforward: 1, dropout: 0.1}}
  mask: {{channels: 4, upsamplings: 1}}
input: {{size: 32, resize: stretch}}
data: {{root: {root}, flip: true, sentences: one}}
train: {{steps: {steps}, batch_size: 4, optimizer: adamw, schedule: cosine, learning_rate: 0.001, weight_decay: 0.01,
        warmup: 5, ema: 0.9, dice_weight: 1.0, device: cpu, workers: 0, threads: 1, log_every: 1, save_every: 4,
        validate_every: 10, validate_images: 2, keep_last: 2, keep_every: 20,
        tracked_images: 0}}
"""


class Training:
    """A training in a process of its own.

    Args:
        config: file with its settings.
        out: its run folder.
        log: file that gets what it prints.
    """

    def __init__(self, config: Path, out: Path, log: Path) -> None:
        self.out = out
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            code = 1
            try:
                file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
                os.dup2(file, 1)
                os.dup2(file, 2)
                code = m3att(["train", "--config", str(config), "--out", str(out), "--resume"])
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)

    def ended(self) -> int | None:
        """The exit code; None while it runs."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        return None if pid == 0 else os.waitstatus_to_exitcode(status)

    def wait(self) -> int:
        """Wait for its end; returns the exit code."""
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def kill(self) -> None:
        """End it where it stands."""
        os.kill(self.pid, signal.SIGKILL)
        if self.wait() != -signal.SIGKILL:
            raise RuntimeError("the training ended just before it was killed: give more --steps")

    def wait_for(self, condition: Callable[[], bool], pause: float) -> None:
        """Wait until something is seen in the folder."""
        until = time.monotonic() + PATIENCE
        while not condition():
            if self.ended() is not None:
                raise RuntimeError("the training ended before it could be killed: give more --steps, or read its log")
            if time.monotonic() > until:
                self.kill()
                raise RuntimeError(f"nothing happened for {PATIENCE:g} s")
            time.sleep(pause)


def logged(out: Path) -> int:
    """The newest step in the metrics of a run."""
    return int(RunFolder(out).last_metrics().get("step", 0))


def half_written(training: Training) -> list[str]:
    """The models and checkpoints that a training writes, or wrote when it was killed; others may lie there too."""
    found = training.out.rglob(f"*.safetensors.m3att-*-{training.pid}.part")
    return sorted(str(path.relative_to(training.out)) for path in found)


def kill_once(training: Training, moment: str, start_up: float, chance: random.Random) -> dict[str, Any]:
    """Kill a training near a moment, and say what it left.

    Args:
        training: has just been started.
        moment: one of MOMENTS.
        start_up: seconds from its start to its first step, about.
        chance: decides the exact moment.
    """
    out, begun, before = training.out, time.monotonic(), logged(training.out)
    steps, saves = chance.randint(1, 6), chance.randint(1, 2)
    if moment == "start-up":
        time.sleep(chance.random() * start_up)
    elif moment == "between saves":
        # A resumed training first drops the lines after its checkpoint, so the step may fall before it rises.
        training.wait_for(lambda: time.monotonic() - begun > 0.5 * start_up and logged(out) >= before + steps, 0.005)
        time.sleep(chance.random() * 0.05)
    else:
        for number in range(saves):
            training.wait_for(lambda: bool(half_written(training)), 0.0005)
            if number + 1 < saves:
                training.wait_for(lambda: not half_written(training), 0.0005)
        time.sleep(chance.random() * 0.003)
    training.kill()
    left, step, folder = half_written(training), logged(out), RunFolder(out)
    # A start that was killed has logged nothing of its own.
    found = "within a save" if left else "start-up" if moment == "start-up" and step <= before else "between saves"
    saved = position_of(folder.checkpoint)["step"] if folder.checkpoint.is_file() else None
    return {
        "asked": moment, "found": found, "half_written": left, "logged_step": step, "checkpoint_step": saved,
        "seconds": round(time.monotonic() - begun, 3),
    }  # fmt: skip


def position_of(checkpoint: Path) -> dict[str, Any]:
    """Where a checkpoint stands, without what the clock decides."""
    with safe_open(checkpoint, framework="pt") as file:
        position = json.loads(file.metadata()["position"])
    return {key: value for key, value in position.items() if key not in CLOCK}


def same_tensors(one: Path, other: Path, prefix: str = "") -> bool:
    """Whether two safetensors files hold the same bits under the names with a prefix, of which there must be some."""
    first, second = ({k: v for k, v in load_file(path).items() if k.startswith(prefix)} for path in (one, other))
    return bool(first) and first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def metrics_of(out: Path) -> list[dict[str, Any]]:
    """What a run logged, without what the clock decides."""
    lines = [json.loads(line) for line in RunFolder(out).metrics.read_text(encoding="utf-8").splitlines()]
    return [{key: value for key, value in line.items() if key not in CLOCK} for line in lines]


def compare(whole: Path, killed: Path) -> dict[str, bool]:
    """What is the same, to the last bit, in two runs that have ended."""
    one, other = RunFolder(whole), RunFolder(killed)
    rates = [[line["learning_rate"] for line in metrics_of(out)] for out in (whole, killed)]
    return {
        "weights": same_tensors(one.checkpoint, other.checkpoint, "network."),
        "optimiser": same_tensors(one.checkpoint, other.checkpoint, "optimizer."),
        "moving average": same_tensors(one.checkpoint, other.checkpoint, "average."),
        "random state": same_tensors(one.checkpoint, other.checkpoint, "random"),
        "position in the data": position_of(one.checkpoint) == position_of(other.checkpoint),
        "schedule": rates[0] == rates[1],
        "metrics of every step": metrics_of(whole) == metrics_of(killed),
        "best model": same_tensors(one.best / "model.safetensors", other.best / "model.safetensors"),
        "last model": same_tensors(one.last / "model.safetensors", other.last / "model.safetensors"),
        "kept checkpoints": list(one.kept_checkpoints) == list(other.kept_checkpoints)
        and all(same_tensors(path, other.kept_checkpoints[step]) for step, path in one.kept_checkpoints.items()),
        "nothing half-written": not list(killed.rglob("*.part")),
    }


def prove(work: Path, kills: int, steps: int, seed: int) -> dict[str, Any]:
    """Train once undisturbed and once with kills; returns what was found.

    Args:
        work: an empty folder.
        kills: how many.
        steps: of the training.
        seed: of the moments.
    """
    chance, log = random.Random(seed), work / "log.txt"
    pid = os.fork()  # drawing uses OpenCV, which a process that forks later should not have used
    if pid == 0:
        write_refer(work / "data", "shaperef", {"train": 24, "val": 2}, seed=1, size=64)
        os._exit(0)
    os.waitpid(pid, 0)
    config = work / "config.yaml"
    config.write_text(SETTINGS.format(root=json.dumps(str(work / "data")), steps=steps), encoding="utf-8")
    begun = time.monotonic()
    whole = Training(config, work / "whole", log)
    whole.wait_for(lambda: logged(work / "whole") > 0, 0.005)
    start_up = time.monotonic() - begun
    if whole.wait() != 0:
        raise RuntimeError(f"the undisturbed training failed: {log.read_text('utf-8')[-2000:]}")
    moments = [MOMENTS[number % len(MOMENTS)] for number in range(kills)]
    chance.shuffle(moments)
    record = []
    for moment in moments:
        record.append(kill_once(Training(config, work / "killed", log), moment, start_up, chance))
        print(json.dumps(record[-1]), flush=True)
    if Training(config, work / "killed", log).wait() != 0:
        raise RuntimeError(f"the killed training did not end: {log.read_text('utf-8')[-2000:]}")
    same = compare(work / "whole", work / "killed")
    return {
        "kills": len(record),
        "found": {name: Counter(one["found"] for one in record)[name] for name in MOMENTS},
        "steps": steps,
        "seed": seed,
        "same_to_the_last_bit": all(same.values()),
        "same": same,
        "torch": torch.__version__,
        "seconds": round(time.monotonic() - begun, 1),
        "record": record,
    }


def main() -> int:
    """Run the proof; the exit code is 1 where anything differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=22, help="how many (%(default)s)")
    parser.add_argument("--steps", type=int, default=500, help="of the training (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (%(default)s)")
    parser.add_argument("--json", type=Path, help="file for the findings")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        found = prove(Path(work), given.kills, given.steps, given.seed)
    if given.json:
        write_json(given.json, found)
    print(json.dumps({key: value for key, value in found.items() if key != "record"}, indent=1))
    return 0 if found["same_to_the_last_bit"] else 1


if __name__ == "__main__":
    sys.exit(main())
