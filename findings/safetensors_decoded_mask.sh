#!/bin/sh
# Expected: safetensors.numpy.save_file followed by load_file gives the same array.
# Seen (safetensors 0.8.0): the memory of an array in Fortran order is written as it lies, with the shape as it reads, so
# the pixels come back scrambled. Shape, type and sum are right and nothing is said.
# Where: safetensors/numpy.py, save and save_file: the docstring asks for contiguous tensors, nothing checks the order.
# pycocotools.mask.decode returns exactly such arrays, and so do .T and np.asfortranarray.
# For masks: decoded COCO masks that are cached in safetensors are noise when they come back. Save
# np.ascontiguousarray(mask).
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
    safetensors==0.8.0 pycocotools==2.0.11 numpy==2.4.6 >"$work/pip.log" 2>&1 ||
    { tail -5 "$work/pip.log"; exit 1; }
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
from pycocotools import mask as coco_mask
from safetensors.numpy import load_file, save_file

run_lengths = coco_mask.merge(coco_mask.frPyObjects([[2, 1, 12, 1, 12, 5, 2, 5]], 8, 16))
mask = coco_mask.decode(run_lengths)
save_file({"as_decoded": mask, "contiguous": np.ascontiguousarray(mask)}, "masks.safetensors")
back = load_file("masks.safetensors")
draw = lambda array: "\n    ".join("".join(".#"[value] for value in row) for row in array)
print("safetensors", version("safetensors"), "pycocotools", version("pycocotools"), "numpy", version("numpy"))
print("decoded, Fortran order:", mask.flags.f_contiguous, "\n    " + draw(mask))
print(
    "saved and loaded, same sum:", int(back["as_decoded"].sum()) == int(mask.sum()), "\n    " + draw(back["as_decoded"])
)
print("saved with ascontiguousarray, equal:", bool((back["contiguous"] == mask).all()))
as_seen = (
    back["as_decoded"].shape == mask.shape
    and not (back["as_decoded"] == mask).all()
    and (back["contiguous"] == mask).all()
)
sys.exit(0 if as_seen else "the behaviour has changed")
PYTHON
