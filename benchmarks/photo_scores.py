"""How sure a score on few photos is: confidence intervals over photos, beside those of the largest object.

    python benchmarks/photo_scores.py ROOT [--model photo] [--dataset refcoco] [--split train] [--json FILE]

ROOT is a REFER folder whose photos are at hand. Expressions of one photo are no independent samples, so that whole
photos are drawn with replacement, 10,000 times; the interval holds the middle 95 per cent of what comes out.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from m3att.config import DataConfig
from m3att.data.open import open_source
from m3att.engine.evaluate import evaluate, evaluate_largest
from m3att.engine.scores import Scores
from m3att.pretrained import load_model

DRAWS = 10_000
HALF = 0.5


def main() -> None:
    """Reads the arguments, scores, and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", metavar="ROOT")
    parser.add_argument("--model", default="photo")
    parser.add_argument("--dataset", default="refcoco")
    parser.add_argument("--split", default="train")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    model = load_model(arguments.model)
    data = DataConfig(
        root=arguments.root,
        dataset=arguments.dataset,
        split=arguments.split,
        pixels="photos",
        same_words=model.config.data.same_words,  # a blind network stays blind
    )
    source = open_source(data, data.split)
    inputs, protocol = model.config.input, model.config.evaluate
    scored = {
        arguments.model: evaluate(model.network, model.tokenizer, source, inputs, protocol, data),
        "largest object": evaluate_largest(source, inputs, protocol, data),
    }
    found = {name: intervals(scores) for name, scores in scored.items()}
    for name, figures in found.items():
        for figure, (value, low, high) in figures.items():
            print(f"{arguments.dataset} {arguments.split}, {name}: {figure} {value:.3f} [{low:.3f}, {high:.3f}]")
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(found, indent=1), encoding="utf-8")


def intervals(scores: Scores, seed: int = 0) -> dict[str, tuple[float, float, float]]:
    """Each figure with the ends of its interval.

    Args:
        scores: of one evaluation.
        seed: of the draws.
    """
    iou_N = scores.iou_N(scores.headline)
    photo_N = np.unique([expression.image for expression in scores.expressions], return_inverse=True)[1]
    counts_B = np.bincount(photo_N)
    chance = np.random.default_rng(seed)
    drawn_DB = chance.integers(len(counts_B), size=(DRAWS, len(counts_B)))
    found: dict[str, tuple[float, float, float]] = {}
    per_expression: dict[str, Any] = {"mean IoU": iou_N, "Pr@0.5": (iou_N > HALF).astype(float)}
    for name, value_N in per_expression.items():
        sums_B = np.bincount(photo_N, weights=value_N)
        means_D = sums_B[drawn_DB].sum(axis=1) / counts_B[drawn_DB].sum(axis=1)
        low, high = np.percentile(means_D, [2.5, 97.5])
        found[name] = (float(value_N.mean()), float(low), float(high))
    return found


if __name__ == "__main__":
    main()
