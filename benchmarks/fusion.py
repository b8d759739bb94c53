"""How much of F_mul is one number a word: its share of energy that is the same at every position, layer by layer.

    python benchmarks/fusion.py MODEL [--images N] [--json FILE]

MODEL is a bundled model's name or a model folder that was trained on ShapeRef; what is read is ShapeRef val.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from m3att.config import DataConfig
from m3att.data.open import open_source
from m3att.engine.evaluate import evaluate
from m3att.model.m3att import M3Att
from m3att.pretrained import load_model


@contextmanager
def watched(layers: list[M3Att]) -> Iterator[dict[int, list[float]]]:
    """Sums of each layer's F_mul over the words that count, while the context is open: of squares, of squared means."""
    sums: dict[int, list[float]] = {number: [0.0, 0.0] for number in range(len(layers))}
    numbers = {id(layer): number for number, layer in enumerate(layers)}
    fuse = M3Att.fuse

    def noted(self: M3Att, lav_NLC: Tensor, weight_NKLP: Tensor, value_NLC: Tensor) -> Tensor:
        fused_NLP = fuse(self, lav_NLC, weight_NKLP, value_NLC)
        heard_RP = fused_NLP[weight_NKLP[:, 0].sum(dim=2) > 0]  # masked padding has no weight
        own = sums[numbers[id(self)]]
        own[0] += float(heard_RP.square().mean(dim=1).sum())
        own[1] += float(heard_RP.mean(dim=1).square().sum())
        return fused_NLP

    M3Att.fuse = noted  # type: ignore[method-assign]
    try:
        yield sums
    finally:
        M3Att.fuse = fuse  # type: ignore[method-assign]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--images", type=int, default=50)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    model = load_model(given.model)
    data = DataConfig(dataset="shaperef", images=given.images)
    source = open_source(data, "val")
    with watched([layer.mutual for layer in model.network.decoder.layers]) as sums:
        config = replace(model.config.evaluate, protocol="original")
        evaluate(model.network, model.tokenizer, source, model.config.input, config, data)
    shares = [constant / whole for whole, constant in sums.values()]
    for number, share in enumerate(shares, start=1):
        print(f"layer {number}: {100 * share:.1f} per cent of F_mul's energy is the same at every position")
    if given.json is not None:
        given.json.write_text(
            json.dumps({"model": given.model, "images": given.images, "constant_share": shares}, indent=1)
        )


if __name__ == "__main__":
    main()
