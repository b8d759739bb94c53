"""The photo path, proven by memorising: train on a few real photos, then score the same expressions.

    python benchmarks/photos.py ROOT [--dataset refcoco] [--steps 600] [--out runs/photos] [--json FILE]

ROOT is a REFER folder whose photos are at hand, all in split train. JPEGs are decoded, resized and rasterised from
their polygons by the code that every training uses, and scored at their own resolution. What comes out says that the
path from JPEG to mask is whole; it says nothing of photos that were not trained on. Run again with the same --out, it
goes on.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

from m3att.config import DataConfig, InputConfig, RunConfig
from m3att.data.open import open_source
from m3att.engine.evaluate import evaluate
from m3att.engine.run_folder import RunFolder
from m3att.engine.train import train
from m3att.presets import PRESETS
from m3att.pretrained import load_model


def memorising(root: str, dataset: str, steps: int, threads: int | None) -> RunConfig:
    """The tiny network, fresh, on few photos: larger input, small batches, nothing left to chance but the order."""
    base = PRESETS["shaperef-tiny-start"].config
    return replace(
        base,
        input=InputConfig(size=192, resize="letterbox"),
        data=DataConfig(root=root, dataset=dataset, split="train", pixels="photos", per_image=8),
        train=replace(
            base.train,
            learning_rate=7e-4,
            batch_size=24,
            steps=steps,
            early_sizes=(128,),
            early_steps=(steps // 2,),
            validate_every=steps,
            save_every=100,
            threads=threads,
        ),
    )


def main() -> None:
    """Train, score, print, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", help="REFER folder with photos")
    parser.add_argument("--dataset", default="refcoco")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--out", type=Path, default=Path("runs/photos"))
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--json", type=Path, default=None)
    given = parser.parse_args()
    config = memorising(given.root, given.dataset, given.steps, given.threads)

    def report(step: int, steps: int, figures: dict[str, float]) -> None:
        if step % 100 == 0:
            print(f"step {step} of {steps}", f"loss {figures['loss/total']:.3f}" if figures else "", flush=True)

    model = load_model(train(config, given.out, resume=RunFolder(given.out).can_resume, report=report))
    source = open_source(config.data, "train")
    figures = evaluate(model.network, model.tokenizer, source, config.input, config.evaluate, config.data).to_dict()
    print(json.dumps(figures, indent=1))
    if given.json is not None:
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
