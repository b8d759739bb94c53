#!/bin/sh
# Expected: where two predicted masks overlap, the pixels go to the one with the higher score.
# Seen (transformers 5.23.0): they go to the one that comes later. MaskFormer and Mask2Former go through their queries from
# the highest score down, so the LEAST certain mask wins. EoMT takes them in the order of the queries. A cup of score 0.95
# on a table of score 0.68 has no pixel left, and segments_info still lists it with its score.
# Where: post_process_instance_segmentation in models/mask2former/image_processing_mask2former.py (likewise maskformer,
# eomt): `segmentation[pred_masks[j] == 1] = current_segment_id` for each query in turn.
# For masks: the mask of a small object on a large one gets IoU 0. A lower threshold makes it worse, because more
# uncertain masks are drawn over the certain ones. Use return_binary_maps=True (Mask2Former, MaskFormer), which keeps each
# mask whole; for EoMT take the mask logits.
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
from importlib.metadata import version

import numpy as np
import torch
import transformers
from transformers.models.eomt.modeling_eomt import EomtForUniversalSegmentationOutput
from transformers.models.mask2former.modeling_mask2former import Mask2FormerForUniversalSegmentationOutput
from transformers.models.maskformer.modeling_maskformer import MaskFormerForInstanceSegmentationOutput

warnings.simplefilter("ignore")
SIZE = 32


def processor(name):
    """The image processor of this name; the form that needs no torchvision if there is one."""
    return getattr(transformers, f"{name}Pil", None) or getattr(transformers, name)


table = torch.zeros(SIZE, SIZE, dtype=torch.bool)
table[8:, :] = True
cup = torch.zeros_like(table)
cup[12:20, 12:20] = True
large = lambda mask: torch.where(mask, 10.0, -10.0).repeat_interleave(12, 0).repeat_interleave(12, 1)
# one query each; the classes are cup, table, nothing
masks_logits = torch.stack([large(cup), large(table)])[None]
class_logits = torch.tensor([[0.95, 0.02, 0.03], [0.02, 0.68, 0.30]]).log()[None]

print(*(f"{name} {version(name)}" for name in ("transformers", "torch", "numpy")))
as_seen = True
for name, output_class, whole in (
    ("MaskFormer", MaskFormerForInstanceSegmentationOutput, True),
    ("Mask2Former", Mask2FormerForUniversalSegmentationOutput, True),
    ("Eomt", EomtForUniversalSegmentationOutput, False),
):
    output = output_class(class_queries_logits=class_logits, masks_queries_logits=masks_logits)
    post_process = processor(f"{name}ImageProcessor")().post_process_instance_segmentation
    found = post_process(output, target_sizes=[(SIZE, SIZE)], threshold=0.5)[0]
    scores = {("cup", "table")[part["label_id"]]: part for part in found["segments_info"]}
    pixels = {thing: int((np.asarray(found["segmentation"]) == part["id"]).sum()) for thing, part in scores.items()}
    print(name)
    for thing, truth in (("cup", cup), ("table", table)):
        print(f"    {thing}: score {scores[thing]['score']:.2f}, {int(truth.sum())} pixels predicted, {pixels[thing]} given")
    as_seen &= scores["cup"]["score"] > 0.9 > scores["table"]["score"] and pixels == {"cup": 0, "table": int(table.sum())}
    if whole:
        kept = post_process(output, target_sizes=[(SIZE, SIZE)], threshold=0.5, return_binary_maps=True)[0]
        areas = [int(mask.sum()) for mask in kept["segmentation"]]
        print("    with return_binary_maps:", areas)
        as_seen &= sorted(areas) == sorted([int(cup.sum()), int(table.sum())])
sys.exit(0 if as_seen else "the behaviour has changed")
PYTHON
