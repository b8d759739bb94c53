"""Fine-tunes `photo` on 50 photos with words that it does not know, and scores what it learned and what it forgot.

    python benchmarks/finetune_data.py --photos PHOTOS --unseen COCO_PHOTOS --out DATA
    m3att data describe DATA/old.json --out DATA/old
    m3att data describe DATA/old_test.json --out DATA/old_test --split val
    python benchmarks/finetune.py DATA --out RUNS --json benchmarks/results/finetune.json

It runs `m3att finetune` twice, with old data and without, and scores three models on two sets that no training saw: 150
photos with the new words, and 108 COCO photos with expressions of the old kind. Runs that are in RUNS already are only
scored.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

M3ATT = [sys.executable, "-m", "m3att"]
SHOWN = ("mean_iou", "overall_iou", "expressions", "images")


def main() -> None:
    """Reads the arguments, trains, scores, and prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    data, threads = arguments.data, str(arguments.threads)
    models = {"before": "photo"}
    runs: dict[str, Any] = {}
    for name, old in (("with old data", ["--old", str(data / "old/expressions.json")]), ("without", [])):
        run = arguments.out / name.replace(" ", "-")
        if not (run / "best").is_dir():
            words = ["finetune", str(data / "export"), *old, "--out", str(run), "--train.threads", threads]
            words += ["--train.workers", "0", "--train.validate_images", "40"]
            subprocess.run([*M3ATT, *words], check=True)
        models[name] = str(run / "best")
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
        runs[name] = {
            "validations": [
                {key: line[key] for key in ("step", "val/mean_iou", "old/mean_iou") if key in line}
                for line in lines
                if "val/mean_iou" in line
            ],
            "steps": lines[-1]["step"],
            "expressions": lines[-1]["expressions"],
            "minutes": round(lines[-1]["seconds"] / 60, 1),
        }
    scores = {
        name: {
            "new": score(model, data / "test", ["--data.dataset", "cvat"], arguments.out, threads),
            "old": score(model, data / "old_test/expressions.json", ["--data.dataset", "coco"], arguments.out, threads),
        }
        for name, model in models.items()
    }
    found = {"runs": runs, "scores": scores}
    print(json.dumps(found, indent=1))
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def score(model: str, root: Path, options: list[str], out: Path, threads: str) -> dict[str, Any]:
    """The figures of a model on a data set.

    Args:
        model: as `m3att evaluate` takes it.
        root: of the data.
        options: what kind of data they are.
        out: a folder for the file of figures.
        threads: of the evaluation.
    """
    path = out / "scores.json"
    words = ["evaluate", "--model", model, "--data.root", str(root), *options, "--data.pixels", "auto"]
    subprocess.run([*M3ATT, *words, "--threads", threads, "--json", str(path)], check=True)
    values = json.loads(path.read_text(encoding="utf-8"))
    return {**{key: values[key] for key in SHOWN}, "precision_0.5": values["precision"]["0.5"]}


if __name__ == "__main__":
    main()
