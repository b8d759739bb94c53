#!/bin/sh
# Expected: a score of the same photos does not depend on which of them share a batch.
# Seen (torchmetrics 1.9.0): GeneralizedDiceScore with its default weight_type="square" gives 0.89, 0.68 or 0.80 for the
# same four masks, depending on the size of the batches and the order in them. MeanIoU and DiceScore do not change.
# Where: torchmetrics/functional/segmentation/generalized_dice.py, _generalized_dice_update: a class that a photo does not have
# has an infinite weight. It is replaced by the largest weight in the batch, and w_max.repeat(...).T.flatten() puts the
# weights of one class at places of another. A photo alone in its batch gets 0, so a false alarm costs nothing.
# For referring expressions: this happens as soon as one expression names nothing in its image. Use weight_type="linear", or
# DiceScore, or score with one batch size in a fixed order.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
    torch==2.13.0 torchmetrics==1.9.0 numpy==2.4.6 >"$work/pip.log" 2>&1 ||
    { tail -5 "$work/pip.log"; exit 1; }
"$work/venv/bin/python" - <<'PYTHON'
import sys
import warnings
from importlib.metadata import version

warnings.simplefilter("ignore")
import torch
from torchmetrics import segmentation


def square(side):
    """A mask of 16 x 16 pixels with a square of `side` x `side`."""
    mask = torch.zeros(16, 16, dtype=torch.long)
    mask[:side, :side] = 1
    return mask


# predicted and true squares: a small hit, a false alarm, a large object half found, and a right "nothing"
sides = [(2, 2), (8, 0), (8, 12), (0, 0)]
predicted, true = (torch.stack([square(side) for side in column]) for column in zip(*sides, strict=True))


def score(metric, batch, order):
    for part in torch.tensor(order).split(batch):
        metric.update(predicted[part], true[part])
    return round(float(metric.compute()), 3)


print(*(f"{name} {version(name)}" for name in ("torchmetrics", "torch")))
two = {"num_classes": 2, "input_format": "index"}
makers = {
    "GeneralizedDiceScore": lambda: segmentation.GeneralizedDiceScore(**two),
    "GeneralizedDiceScore, linear": lambda: segmentation.GeneralizedDiceScore(weight_type="linear", **two),
    "DiceScore": lambda: segmentation.DiceScore(**two),
    "MeanIoU": lambda: segmentation.MeanIoU(**two),
}
ways = [(1, [0, 1, 2, 3]), (2, [0, 1, 2, 3]), (4, [0, 1, 2, 3]), (4, [1, 0, 3, 2]), (4, [3, 2, 1, 0])]
seen = {}
for name, make in makers.items():
    seen[name] = [score(make(), batch, order) for batch, order in ways]
    print(f"{name:30} batches of 1, 2, 4, and 4 in two other orders: {seen[name]}")
as_seen = seen["GeneralizedDiceScore"] == [0.89, 0.676, 0.798, 0.798, 0.676] and all(
    len(set(figures)) == 1 for name, figures in seen.items() if name != "GeneralizedDiceScore"
)
sys.exit(0 if as_seen else "the behaviour has changed")
PYTHON
