#!/bin/sh
# Expected: post-processing of MaskFormer and Mask2Former puts a perfect mask back onto its photo, alone or in a batch.
# Seen (transformers 5.23.0): in a batch the processor pads the photos to one size at the right and at the bottom. The
# post-processing stretches the padded frame to the photo's size instead of cutting the padding off. With a wide and a tall
# photo in one batch a perfect network has IoU 0.29 and 0.42; alone each has 0.98. pixel_mask knows the border, but
# post_process_* does not take it.
# Where: transformers/models/mask2former/image_processing_mask2former.py, post_process_instance_segmentation (likewise
# semantic and panoptic): interpolate to (384, 384), then to target_sizes.
# For masks: scores of such peers depend on which photos share a batch. Use batches of one photo, or crop the mask logits.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
    transformers==5.23.0 torch==2.13.0 pillow==13.0.0 numpy==2.4.6 >"$work/pip.log" 2>&1 ||
    { tail -5 "$work/pip.log"; exit 1; }
HF_HUB_OFFLINE=1 TRANSFORMERS_VERBOSITY=error "$work/venv/bin/python" - <<'PYTHON'
import sys
import warnings

import numpy as np
import torch
import transformers
from transformers.models.mask2former.modeling_mask2former import Mask2FormerForUniversalSegmentationOutput as Output

warnings.simplefilter("ignore")
try:  # the name of the processor that needs no torchvision
    from transformers import Mask2FormerImageProcessorPil as Processor
except ImportError:
    from transformers import Mask2FormerImageProcessor as Processor


def photo(height, width, top, bottom, left, right):
    """A black photo with one white object."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[top:bottom, left:right] = 255
    return pixels


def scores(photos):
    """IoU of each photo's object after the processor, a perfect network at a quarter of the size, and the post-processing."""
    processor = Processor(do_normalize=False, do_rescale=False)
    pixels = processor(images=photos, return_tensors="pt")["pixel_values"].float()
    white = (pixels.mean(1, keepdim=True) > 127).float()
    logits = 20 * (torch.nn.functional.avg_pool2d(white, 4) - 0.5)  # one query, the mask of the object
    classes = torch.full((len(photos), 1, 3), -10.0)
    classes[:, 0, 1] = 10.0
    output = Output(class_queries_logits=classes, masks_queries_logits=logits)
    found = processor.post_process_instance_segmentation(output, target_sizes=[p.shape[:2] for p in photos])
    result = []
    for pixels, instance in zip(photos, found, strict=True):
        truth, mask = pixels[..., 0] > 0, np.asarray(instance["segmentation"]) == instance["segments_info"][0]["id"]
        result.append(round(float((truth & mask).sum() / (truth | mask).sum()), 2))
    return tuple(pixels.shape for pixels in photos), result


wide, tall = photo(200, 400, 40, 160, 300, 380), photo(400, 200, 40, 160, 20, 180)
print("transformers", transformers.__version__, "torch", torch.__version__.split("+")[0], "numpy", np.__version__)
seen = {}
for name, photos in (("wide", [wide]), ("tall", [tall]), ("both in one batch", [wide, tall])):
    shapes, seen[name] = scores(photos)
    print(f"{name} {shapes}: IoU {seen[name]}")
alone, together = seen["wide"] + seen["tall"], seen["both in one batch"]
sys.exit(0 if min(alone) > 0.95 and max(together) < 0.5 else "the behaviour has changed")
PYTHON
