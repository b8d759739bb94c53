#!/bin/sh
# Expected: post_process_instance_segmentation(..., return_coco_annotation=True) gives run lengths as COCO defines them, one
# list for each entry of segments_info; the docstring points to the COCO API.
# Seen (transformers 5.23.0): pairs of start and length, counted from 1, row by row. COCO has bare lengths, column by column,
# beginning with background. And the list starts with one for the background (-1), so index i is not segment i.
# Where: binary_mask_to_rle and convert_segmentation_to_rle in transformers/models/mask2former/image_processing_mask2former.py
# (torch.unique includes -1); the same functions serve MaskFormer, OneFormer and the DETR family.
# For masks: read as COCO the result covers other pixels of the wrong segment. Take the label map (without the option) and
# encode it with pycocotools.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
    transformers==5.23.0 torch==2.13.0 pillow==13.0.0 numpy==2.4.6 pycocotools==2.0.11 >"$work/pip.log" 2>&1 ||
    { tail -5 "$work/pip.log"; exit 1; }
HF_HUB_OFFLINE=1 TRANSFORMERS_VERBOSITY=error "$work/venv/bin/python" - <<'PYTHON'
import itertools
import sys
import warnings
from importlib.metadata import version

import numpy as np
import torch
from pycocotools import mask as coco_mask
from transformers.models.mask2former.modeling_mask2former import Mask2FormerForUniversalSegmentationOutput as Output

warnings.simplefilter("ignore")
try:  # the name of the processor that needs no torchvision
    from transformers import Mask2FormerImageProcessorPil as Processor
except ImportError:
    from transformers import Mask2FormerImageProcessor as Processor

HEIGHT, WIDTH = 8, 10
logits = torch.full((1, 1, 64, 80), -10.0)
logits[0, 0, 16:32, 16:56] = 10.0  # a bar of two rows in the small picture
classes = torch.full((1, 1, 3), -10.0)
classes[:, 0, 1] = 10.0
post_process = lambda **option: Processor().post_process_instance_segmentation(
    Output(class_queries_logits=classes, masks_queries_logits=logits), target_sizes=[(HEIGHT, WIDTH)], **option
)[0]
mask = np.asarray(post_process()["segmentation"]) == 0
given = post_process(return_coco_annotation=True)
lists = [[int(number) for number in numbers] for numbers in given["segmentation"]]
# COCO's rule: lengths that take turns between background and object, column by column
lengths = [
    len(list(run)) for _, run in itertools.groupby(mask.ravel(order="F").tolist())
]  # the first pixel is background
assert (
    coco_mask.decode(coco_mask.frPyObjects({"counts": lengths, "size": [HEIGHT, WIDTH]}, HEIGHT, WIDTH)) == mask
).all()
print(
    "transformers",
    version("transformers"),
    "torch",
    torch.__version__.split("+")[0],
    "pycocotools",
    version("pycocotools"),
)
print("the mask:", *("".join(".#"[int(value)] for value in row) for row in mask), sep="\n    ")
print("segments_info:", [segment["id"] for segment in given["segments_info"]])
print("lists given:", lists)
print("COCO's run lengths of the mask:", lengths, "with a sum of", sum(lengths), "=", HEIGHT, "x", WIDTH)
print("sum of the list given for the mask:", sum(lists[-1]))
starts = (np.flatnonzero(np.diff(mask.ravel().astype(int)) == 1) + 2).tolist()  # row by row, counted from 1
as_seen = (
    len(lists) == 2
    and len(given["segments_info"]) == 1
    and lists[-1] != lengths
    and sum(lists[-1]) != HEIGHT * WIDTH
    and lists[-1][::2] == starts
)
sys.exit(0 if as_seen else "the behaviour has changed")
PYTHON
