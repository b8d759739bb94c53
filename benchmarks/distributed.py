"""Compares trainings and evaluations of 1, 2 and 4 processes, and measures how much faster 2 processes are than 1.

    python benchmarks/distributed.py --json FILE

Every training is `m3att train` under `torchrun`, with gloo, and with one CPU thread for each process. The parts are:

- equality: the same small network, without dropout, takes the same steps with each number of processes, and each number
  of processes scores the same model.
- divided: a small Swin, whose weights are divided over 2 processes (FSDP2), against one process.
- pace: the efficiency is the pace of 2 processes, divided by 2 and by the pace of 1 process, both on the same batches
  and without the first steps. Two networks are measured: that of the paper (language, decoder and mask decoder at full
  width) on a small frozen backbone, and the small one of the preset shaperef-tiny-hour. Two runs at once that know
  nothing of each other say what the machine allows: they share its memory. Measure it on a machine with nothing else
  to do: a process that waits for its core makes the other wait too. Of several rounds the best pace counts.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch

from m3att.app.console import write_json
from m3att.data.shaperef.writer import write_refer

COUNTS = (1, 2, 4)
PARTS = ("equality", "divided", "pace")
SMALL = """
model:
  channels: 32
  vision: {{widths: [8, 16, 32], blocks: [0, 0, 1], encoder_layers: 1}}
  language: {{word_channels: 16}}
  decoder: {{layers: 2, heads: 2, feedforward: 1, dropout: 0}}
  mask: {{channels: 8, upsamplings: 2}}
input: {{size: 64, resize: stretch}}
data: {{dataset: shaperef, root: {root}, per_image: 4, flip: true}}
train: {{steps: 12, batch_size: 18, optimizer: adamw, schedule: constant, learning_rate: 0.0003, warmup: 0, clip: 1,
        dice_weight: 1, attention_weight: 0.1, category_weight: 0.5, device: cpu, workers: 0, threads: 1, log_every: 1,
        validate_every: 12, validate_images: 8}}
"""
COMPARED = ("loss/total", "loss/mask", "loss/reconstruction", "loss/attention", "gradient_norm")
# The networks whose pace is measured: preset and settings.
NETWORKS: dict[str, dict[str, Any]] = {
    "paper": {
        "preset": "refcoco-darknet53", "model.vision.encoder": "tiny", "model.vision.weights": "shaperef-tiny",
        "model.language.freeze": "false", "input.size": 224, "data.per_image": 4, "train.batch_size": 48,
    },
    "tiny": {
        "preset": "shaperef-tiny-hour", "input.size": 128, "train.batch_size": 32,
        "train.early_sizes": "[]", "train.early_steps": "[]",
    },
}  # fmt: skip
WARM = 1  # steps before the clock starts
Lines = list[dict[str, Any]]


def m3att(count: int, *words: str) -> str:
    """Run a command with some processes; returns what it printed."""
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENCV_FOR_THREADS_NUM": "1"}
    done = subprocess.run([*start, "-m", "m3att", *words], capture_output=True, text=True, env=environment)
    if done.returncode:
        sys.exit(f"{' '.join(words)} with {count} processes: {done.stdout}{done.stderr}")
    return done.stdout


def metrics(out: Path) -> Lines:
    """The lines of a run."""
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


def compare(folder: Path) -> dict[str, Any]:
    """Train and score with each number of processes; the largest differences from one process."""
    write_refer(folder / "data", "shaperef", {"train": 60, "val": 30}, seed=3, size=64)
    (folder / "small.yaml").write_text(SMALL.format(root=folder / "data"), encoding="utf-8")
    runs: dict[int, Lines] = {}
    scores: dict[int, bytes] = {}
    for count in COUNTS:
        out = folder / f"run-{count}"
        m3att(count, "train", "--config", str(folder / "small.yaml"), "--out", str(out))
        runs[count] = metrics(out)
        words = ["--model", str(folder / "run-1" / "last"), "--data.root", str(folder / "data"), "--data.split", "val"]
        m3att(count, "evaluate", *words, "--evaluate.batch_size", "7", "--json", str(folder / f"{count}.json"))
        scores[count] = (folder / f"{count}.json").read_bytes()
        print(f"{count} processes: loss {runs[count][0]['loss/total']:.7f} ... {runs[count][-1]['loss/total']:.7f}")
    alone = runs[1]
    return {
        "steps": len(alone),
        "expressions": alone[-1]["expressions"],
        "same_batches": all(
            [line["expressions"] for line in run] == [line["expressions"] for line in alone] for run in runs.values()
        ),
        "largest_relative_difference": {
            str(count): {name: furthest(runs[count][:1], alone[:1], name) for name in COMPARED}
            | {"loss/total after 12 steps": furthest(runs[count][-1:], alone[-1:], "loss/total")}
            for count in COUNTS[1:]
        },
        "same_scores": all(found == scores[1] for found in scores.values()),
        "scored_expressions": json.loads(scores[1])["expressions"],
    }


def divide(folder: Path) -> dict[str, Any]:
    """Train with a small Swin, whose weights are divided over 2 processes (FSDP2); the differences from one process.

    The Swin has no stochastic depth, which would draw other numbers in each process.
    """
    from transformers import AutoBackbone, SwinConfig

    write_refer(folder / "data", "shaperef", {"train": 60, "val": 30}, seed=3, size=64)
    torch.manual_seed(0)
    swin = SwinConfig(
        image_size=64, embed_dim=24, depths=[2, 2, 2, 2], num_heads=[2, 4, 8, 8], window_size=4, drop_path_rate=0.0
    )
    AutoBackbone.from_config(swin).save_pretrained(folder / "swin")
    vision = f"vision: {{encoder: huggingface, weights: {folder / 'swin'}, encoder_layers: 1}}"
    text = SMALL.format(root=folder / "data").replace(
        "vision: {widths: [8, 16, 32], blocks: [0, 0, 1], encoder_layers: 1}", vision
    )
    (folder / "swin.yaml").write_text(text, encoding="utf-8")
    runs: dict[int, Lines] = {}
    for count in (1, 2):
        out = folder / f"swin-{count}"
        words = ["--config", str(folder / "swin.yaml"), "--train.shard", "true", "--out", str(out)]
        m3att(count, "train", *words)
        runs[count] = metrics(out)
        print(
            f"Swin, {count} processes: loss {runs[count][0]['loss/total']:.7f} ... {runs[count][-1]['loss/total']:.7f}"
        )
    return {
        "largest_relative_difference": {name: furthest(runs[2][:1], runs[1][:1], name) for name in COMPARED}
        | {"loss/total after 12 steps": furthest(runs[2][-1:], runs[1][-1:], "loss/total")},
    }


def furthest(one: Lines, other: Lines, name: str) -> float:
    """The largest relative difference of a figure."""
    return max(abs(left[name] - right[name]) / abs(right[name]) for left, right in zip(one, other, strict=True))


def measure(folder: Path, network: str, steps: int, rounds: int) -> dict[str, Any]:
    """Expressions a second of 1 and of 2 processes, in turn.

    Args:
        folder: for data and runs.
        network: of NETWORKS.
        steps: that are measured.
        rounds: how often.
    """
    data = folder / "larger"
    if not data.is_dir():
        write_refer(data, "shaperef", {"train": 120, "val": 4}, seed=4)
    paces: dict[str, list[float]] = {"1 process": [], "2 processes": [], "2 runs at once": []}
    load = round(os.getloadavg()[0], 1)  # of other programs
    settings = NETWORKS[network] | {
        "data.root": data, "data.dataset": "shaperef", "train.steps": WARM + steps + 1, "train.workers": 0,
        "train.threads": 1, "train.device": "cpu", "train.log_every": 1, "train.validate_every": 10**6,
        "train.validate_images": 1, "train.save_every": 10**6,
    }  # fmt: skip
    words = ["train", *(word for key, value in settings.items() for word in (f"--{key}", str(value)))]

    def pace(out: Path, count: int) -> float:
        """Expressions a second of one run with some processes."""
        m3att(count, *words, "--out", str(out))
        lines = metrics(out)
        first, last = lines[WARM - 1], lines[-2]  # the last one holds the validation
        return float((last["expressions"] - first["expressions"]) / (last["seconds"] - first["seconds"]))

    for turn in range(rounds):
        out = folder / f"{network}-{turn}"
        paces["1 process"].append(pace(out / "1", 1))
        paces["2 processes"].append(pace(out / "2", 2))
        with ThreadPoolExecutor() as pool:
            paces["2 runs at once"].append(sum(pool.map(lambda name: pace(name, 1), (out / "one", out / "other"))))
        print(
            f"{network}, round {turn + 1}: {json.dumps({name: round(found[-1], 2) for name, found in paces.items()})}"
        )
    best = {name: max(found) for name, found in paces.items()}
    return {
        "steps": steps,
        "load_before": load,
        "expressions_per_second": {name: [round(pace, 2) for pace in found] for name, found in paces.items()},
        "efficiency": round(best["2 processes"] / (2 * best["1 process"]), 3),
        "of_two_runs_at_once": round(best["2 processes"] / best["2 runs at once"], 3),
    }


def main() -> None:
    """Compare, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="file for what was found")
    parser.add_argument("--steps", type=int, default=10, help="steps of a measured training")
    parser.add_argument("--rounds", type=int, default=2, help="how often 1 and 2 processes are measured, in turn")
    parser.add_argument(
        "--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS), help="whose pace is measured"
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="what is done")
    given = parser.parse_args()
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        if "equality" in given.parts:
            found["equality"] = compare(Path(folder))
        if "divided" in given.parts:
            found["divided"] = divide(Path(folder))
        if "pace" in given.parts:
            found["pace"] = {name: measure(Path(folder), name, given.steps, given.rounds) for name in given.networks}
    found["machine"] = {"cores": os.cpu_count(), "torch": torch.__version__}
    if given.json is not None:  # what is not measured now stays in it
        before = json.loads(given.json.read_text(encoding="utf-8")) if given.json.is_file() else {}
        write_json(given.json, {**before, **found})
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
