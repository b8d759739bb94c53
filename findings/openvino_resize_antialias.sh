#!/bin/sh
# Expected: an ONNX Resize with antialias=1 smooths a picture before it makes it smaller, as Pillow and torch do.
# Seen (openvino 2026.4.1, onnx 1.23.2, onnxruntime 1.32.0): ONNX Runtime and the reference evaluator of onnx do so. OpenVINO
# keeps `antialias` in its graph and computes without it: the result is that of antialias=0, to the last digits. There is no
# message. So it is for linear and cubic, with sizes and with scales, with free and with fixed shapes.
# Where: OpenVINO's CPU plugin. Its Interpolate has the modes linear_onnx and cubic, and neither reads `antialias`.
# For masks: many exported models resize the photo inside the graph, as torch's interpolate(antialias=True) does. In OpenVINO
# the network sees other pixels, and small things come and go with their place: here stripes of one pixel, which must become
# grey, become black or white. Resize outside of the graph, or with average pooling for whole factors.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
    openvino==2026.4.1 onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6 >"$work/pip.log" 2>&1 ||
    { tail -5 "$work/pip.log"; exit 1; }
"$work/venv/bin/python" - <<'PYTHON'
import itertools
import sys
from importlib.metadata import version

import numpy as np
import onnx
import onnxruntime
import openvino
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

SIZE, SMALL = 24, 8  # a third of the size
core = openvino.Core()


def graph(mode, antialias, by, free):
    """Resize from SIZE to SMALL on each side."""
    shape = ["images", "channels", "height", "width"] if free else [1, 1, SIZE, SIZE]
    value = np.array([1, 1, SMALL, SMALL], np.int64) if by == "sizes" else np.array([1, 1, 1 / 3, 1 / 3], np.float32)
    inputs = ["picture", "", "", "size"] if by == "sizes" else ["picture", "", "size"]
    resize = helper.make_node(
        "Resize", inputs, ["small"], mode=mode, antialias=antialias, coordinate_transformation_mode="half_pixel"
    )
    made = helper.make_model(
        helper.make_graph(
            [resize],
            "resize",
            [helper.make_tensor_value_info("picture", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info("small", TensorProto.FLOAT, ["a", "b", "c", "d"])],
            [numpy_helper.from_array(value, "size")],
        ),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=9,
    )
    onnx.checker.check_model(made)
    return made


def in_runtime(model, picture):
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"picture": picture})[0]


def in_openvino(model, picture):
    read = core.read_model(model.SerializeToString())
    return core.compile_model(read, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})({"picture": picture})[0]


print(*(f"{name} {version(name)}" for name in ("openvino", "onnx", "onnxruntime", "numpy")))
stripes = np.zeros((1, 1, SIZE, SIZE), np.float32)
stripes[..., 1::3] = 255  # one white column in three: 85 on average
noise = np.random.default_rng(0).uniform(0, 255, stripes.shape).astype(np.float32)
print("stripes, a third of the size, linear, antialias=1; first row:")
smooth = graph("linear", 1, "sizes", True)
rows = {
    "ONNX Runtime": in_runtime(smooth, stripes),
    "onnx reference": ReferenceEvaluator(smooth).run(None, {"picture": stripes})[0],
    "OpenVINO": in_openvino(smooth, stripes),
}
for name, small in rows.items():
    print(f"    {name:16}", small[0, 0, 0].round().astype(int).tolist())
as_seen = np.abs(rows["ONNX Runtime"] - rows["onnx reference"]).max() < 0.01
print("noise from 0 to 255: largest difference of OpenVINO with antialias=1 from ONNX Runtime")
for mode, by, free in itertools.product(("linear", "cubic"), ("sizes", "scales"), (True, False)):
    found = in_openvino(graph(mode, 1, by, free), noise)
    asked, without = (np.abs(found - in_runtime(graph(mode, antialias, by, free), noise)).max() for antialias in (1, 0))
    print(f"    {mode:7} {by:7} {'free' if free else 'fixed':6} with antialias=1: {asked:6.1f}, with antialias=0: {without:.4f}")
    as_seen &= asked > 20 and without < 0.01
sys.exit(0 if as_seen else "the behaviour has changed")
PYTHON
