#!/bin/sh
# Expected: the mean IoU (or Dice) over the same eight masks is the same number in every library.
# Seen (torchmetrics 1.9.0, monai 1.6.1, medpy 0.5.2, pycocotools 2.0.11): mean IoU is 0.31, 0.50, 0.62 or 0.69, and mean Dice
# 0.53, 0.67, 0.71 or nan. Four of the eight expressions name nothing in their image, so the true mask is empty. An empty
# answer to them is 1 (gRefCOCO's gIoU, monai with ignore_empty=False, medpy's jc), is 0 (pycocotools' iou, torchmetrics'
# BinaryJaccardIndex), or is left out (MeanIoU and DiceScore of torchmetrics). MeanIoU and DiceMetric of monai leave out any
# answer to them, also a wrong one. Medpy gives IoU 1 and Dice nan for the same two empty masks.
# Where: medpy/metric/binary.py: jc divides Python's floats and catches ZeroDivisionError. dc divides NumPy's, which give nan
# instead. torchmetrics/segmentation/mean_iou.py: nan for absent classes. monai/metrics/meaniou.py: ignore_empty.
# For referring expressions: state what an empty mask counts. A network that always draws something loses nothing by monai's
# default, and one that is right about "nothing" gains nothing by torchmetrics.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
    torch==2.13.0 torchmetrics==1.9.0 monai==1.6.1 medpy==0.5.2 pycocotools==2.0.11 numpy==2.4.6 >"$work/pip.log" 2>&1 ||
    { tail -5 "$work/pip.log"; exit 1; }
"$work/venv/bin/python" - <<'PYTHON'
import sys
import warnings
from importlib.metadata import version

warnings.simplefilter("ignore")
import monai.metrics
import numpy as np
import torch
from medpy.metric import binary as medpy
from pycocotools import mask as coco
from torchmetrics import segmentation
from torchmetrics.classification import BinaryJaccardIndex


def bar(rows):
    """A mask of `rows` rows of four pixels."""
    mask = np.zeros((16, 16), np.uint8)
    mask[:rows, :4] = 1
    return mask


# pairs of predicted and true mask: two hits, a half, a miss; then three empty answers to "nothing", and a false alarm
pairs = [(bar(8), bar(8))] * 2 + [(bar(4), bar(8)), (bar(0), bar(8))] + [(bar(0), bar(0))] * 3 + [(bar(8), bar(0))]
predicted, true = (torch.tensor(np.stack(masks))[:, None] for masks in zip(*pairs, strict=True))


def with_torchmetrics(metric):
    metric.update(predicted.long(), true.long())
    return metric.compute()


def with_monai(metric):
    metric(predicted, true)
    return metric.aggregate()


def mean(score):
    return np.mean([float(score(mine, truth)) for mine, truth in pairs])


def jaccard(mine, truth):
    return BinaryJaccardIndex()(torch.tensor(mine), torch.tensor(truth).long())


def coco_iou(mine, truth):
    code = lambda mask: coco.encode(np.asfortranarray(mask[..., None]))
    return coco.iou(code(mine), code(truth), [0])[0, 0]


gres = lambda mine, truth: (mine & truth).sum() / (mine | truth).sum() if (mine | truth).any() else 1
one = {"num_classes": 1, "input_format": "one-hot"}
rows = {
    "IoU": {
        "gIoU of gRefCOCO, by hand": mean(gres),
        "monai MeanIoU(ignore_empty=False)": with_monai(monai.metrics.MeanIoU(ignore_empty=False)),
        "medpy jc": mean(medpy.jc),
        "monai MeanIoU()": with_monai(monai.metrics.MeanIoU()),
        "torchmetrics MeanIoU": with_torchmetrics(segmentation.MeanIoU(**one)),
        "torchmetrics BinaryJaccardIndex": mean(jaccard),
        "pycocotools iou": mean(coco_iou),
    },
    "Dice": {
        "monai DiceMetric(ignore_empty=False)": with_monai(monai.metrics.DiceMetric(ignore_empty=False)),
        "monai DiceMetric()": with_monai(monai.metrics.DiceMetric()),
        "torchmetrics DiceScore": with_torchmetrics(segmentation.DiceScore(**one)),
        "medpy dc": mean(medpy.dc),
    },
}
print(*(f"{name} {version(name)}" for name in ("torchmetrics", "monai", "medpy", "pycocotools", "torch", "numpy")))
for kind, figures in rows.items():
    print(f"mean {kind} of the same eight pairs of masks")
    for name, value in figures.items():
        print(f"    {name:38} {float(value):.4f}")
seen = [round(float(value), 4) for figures in rows.values() for value in figures.values()]
expected = [0.6875, 0.6875, 0.6875, 0.625, 0.5, 0.3125, 0.3125, 0.7083, 0.6667, 0.5333, float("nan")]
sys.exit(0 if np.array_equal(seen, expected, equal_nan=True) else "the behaviour has changed")
PYTHON
