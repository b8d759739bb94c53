"""Whether the sine code should count positions from the corners of cells or from their centres, at other input sizes.

    python benchmarks/positions.py MODEL SIZE [SIZE ...] [--root ROOT] [--images N] [--json FILE]

MODEL is the name of a bundled model or a model folder. At its trained input size, both ways give the same code.
A model of layouts of RefCOCO needs ROOT. Without it, ShapeRef val is read.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from m3att.config import DataConfig
from m3att.data.open import open_source
from m3att.engine.evaluate import evaluate
from m3att.model.grid import Grid
from m3att.model.position import encode_grid
from m3att.model.vision import encoder
from m3att.pretrained import load_model
from m3att.protocols import ORIGINAL


def encode_centres(grid: Grid, channels: int, counted: Grid, device: torch.device, *, trained: int) -> Tensor:
    """As `encode_grid`, but the centres of cells are mapped to the trained input, in place of their corners.

    Args:
        grid: grid of H rows and W columns.
        channels: C, a multiple of 4.
        counted: grid in whose cells positions are counted.
        device: device of the result.
        trained: side of the trained input in pixels.

    Returns:
        (H * W, C) float32.
    """
    # Half a cell of this grid less half a cell of the trained one, in cells of the grid in which positions are counted.
    shifts = [(trained / side - 1) / 2 * whole / trained for side, whole in (
        (grid.height, counted.height), (grid.width, counted.width)
    )]  # fmt: skip
    corners_PC = encode_grid(grid, channels, counted, device)
    quarter = channels // 4
    frequency = torch.exp(torch.arange(quarter, device=device) * (-np.log(10000.0) / quarter))
    parts: list[Tensor] = []
    for half_PC, shift in zip(corners_PC.chunk(2, dim=1), shifts, strict=True):
        sine, cosine = half_PC.chunk(2, dim=1)
        turn = frequency * shift
        parts += [sine * turn.cos() + cosine * turn.sin(), cosine * turn.cos() - sine * turn.sin()]
    return torch.cat(parts, dim=1)


@contextmanager
def counting(rule: str, trained: int) -> Iterator[None]:
    """Positions are counted by this rule, `corners` or `centres`, while the context is open."""

    def centres(grid: Grid, channels: int, counted: Grid, device: torch.device) -> Tensor:
        return encode_centres(grid, channels, counted, device, trained=trained)

    encoder.encode_grid = {"corners": encode_grid, "centres": centres}[rule]
    try:
        yield
    finally:
        encoder.encode_grid = encode_grid


def main() -> None:
    """Score a model at each size by both rules, print and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("sizes", type=int, nargs="+")
    parser.add_argument("--root")
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    model = load_model(given.model)
    data = DataConfig(dataset="shaperef", images=given.images)
    if given.root is not None:
        data = DataConfig(root=given.root, dataset="refcoco", split_by="unc", pixels="layout", images=given.images)
    source = open_source(data, "val")
    trained = model.config.input.size
    config = replace(model.config.evaluate, protocol=ORIGINAL.name)
    rows: list[dict[str, Any]] = []
    for size in given.sizes:
        row: dict[str, Any] = {"size": size, "mean_iou": {}, "overall_iou": {}}
        for rule in ("corners", "centres"):
            with counting(rule, trained):
                inputs = replace(model.config.input, size=size)
                scores = evaluate(model.network, model.tokenizer, source, inputs, config, data)
            row["expressions"] = len(scores.expressions)
            figures = scores.to_dict()
            for name in ("mean_iou", "overall_iou"):
                row[name][rule] = figures[name]
        rows.append(row)
        corners, centres = (100 * row["mean_iou"][rule] for rule in ("corners", "centres"))
        print(f"{given.model} at {size}: mean IoU {corners:.2f} from corners, {centres:.2f} from centres", flush=True)
        if given.json is not None:
            found = {"model": given.model, "trained_at": trained, "images": given.images, "sizes": rows}
            given.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
