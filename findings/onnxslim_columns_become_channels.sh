#!/bin/sh
# Expected: onnxslim makes a graph smaller and leaves its answers as they are.
# Seen (onnxslim 0.1.98): a convolution followed by a product with one weight a column (or a row) is merged into one convolution
# with one weight a channel, if there are as many columns (or rows) as channels. There is no message. With another number
# of channels, the product stays and the answers are the same.
# Where: onnxslim/core/pattern/fusion/convmul.py: it compares the length of the squeezed constant with the channels, and not
# which axis the constant lies on. convadd.py does ask for the axis.
# For masks: feature maps of 16 x 16 with 16 channels, or 64 x 64 with 64, are common, and so are weights that fade out
# towards the edge of a tile. The mask of the smaller graph has IoU 0.73 to 0.75 with that of the graph. Compare both graphs on photos,
# or leave this step out with skip_fusion_patterns.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
    onnxslim==0.1.98 onnx==1.23.2 onnxruntime==1.31.1 numpy==2.4.6 >"$work/pip.log" 2>&1 ||
    { tail -5 "$work/pip.log"; exit 1; }
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
import onnx
import onnxruntime
import onnxslim
from onnx import TensorProto, helper, numpy_helper

SIDE = 16
random = np.random.default_rng(0)
photo = random.standard_normal((1, 3, SIDE, SIDE)).astype(np.float32)
fade = np.hanning(SIDE + 2)[1:-1].astype(np.float32)  # 1 in the middle of the tile, near 0 at both edges


def graph(channels, weights):
    """A convolution to `channels` maps, a product with `weights`, and the sum of the maps as scores of the pixels."""
    kernel = random.standard_normal((channels, 3, 3, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["photo", "kernel"], ["maps"], pads=[1, 1, 1, 1]),
        helper.make_node("Mul", ["maps", "weights"], ["faded"]),
        helper.make_node("ReduceSum", ["faded", "axes"], ["scores"], keepdims=0),
    ]
    tensors = {"kernel": kernel, "weights": weights, "axes": np.array([1])}
    made = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("photo", TensorProto.FLOAT, [1, 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, SIDE, SIDE])],
        [numpy_helper.from_array(tensor, name) for name, tensor in tensors.items()],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    return model


def mask(model):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"photo": photo})[0] > 0


print(*(f"{name} {version(name)}" for name in ("onnxslim", "onnx", "onnxruntime", "numpy")))
seen = {}
for channels in (8, SIDE):
    for name, weights in (("columns", fade), ("rows", fade[:, None])):
        model = graph(channels, weights)
        slim = onnxslim.slim(model)
        before, after = mask(model), mask(slim)
        iou = round(float((before & after).sum() / (before | after).sum()), 2)
        seen[channels, name] = iou
        steps = [node.op_type for node in slim.graph.node]
        print(f"{channels} channels, weights of {SIDE} {name}: {steps}, IoU of the mask before and after {iou}")
sys.exit(0 if list(seen.values()) == [1.0, 1.0, 0.75, 0.73] else "the behaviour has changed")
PYTHON
