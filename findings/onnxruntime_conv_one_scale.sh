#!/bin/sh
# Expected: quantize_dynamic(..., per_channel=True) gives each output channel of a convolution its own scale.
# Seen (onnxruntime 1.32.0): the option acts on MatMul and is ignored for Conv: one scale for the whole weight, no warning,
# the same file with and without it. Channels with small weights, usual in depthwise layers, come out as zeros.
# Where: onnxruntime/quantization/operators/conv.py, ConvInteger.quantize; the docstring of quantize_dynamic says "quantize
# weights per channel" without exception.
# For masks: a backbone of depthwise convolutions (EfficientNet, MobileNet) loses channels and the masks get worse while
# the same call on the language half is fine. Quantise convolutions statically (quantize_static keeps per_channel).
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
    onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6 >"$work/pip.log" 2>&1 ||
    { tail -5 "$work/pip.log"; exit 1; }
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import logging
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

logging.disable(logging.WARNING)
CHANNELS = 6
random = np.random.default_rng(0)
sizes = 10.0 ** -np.arange(CHANNELS)  # each channel's weights are ten times smaller than the last one's


def model(name, node, weight, shape):
    """Save a model of one node whose second input is `weight`."""
    ends = [helper.make_tensor_value_info(end, TensorProto.FLOAT, shape) for end in ("x", "y")]
    graph = helper.make_graph(
        [node], name, ends[:1], ends[1:], [numpy_helper.from_array(weight.astype(np.float32), "w")]
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), f"{name}.onnx")
    return random.normal(size=shape).astype(np.float32)


def errors(name, x, axis, per_channel):
    """Number of weight scales and the largest error of each channel, relative to its largest output."""
    quantize_dynamic(
        f"{name}.onnx",
        "small.onnx",
        per_channel=per_channel,
        weight_type=QuantType.QInt8 if name == "matmul" else QuantType.QUInt8,
    )
    exact, small = (
        onnxruntime.InferenceSession(path).run(None, {"x": x})[0] for path in (f"{name}.onnx", "small.onnx")
    )
    scale = next(i for i in onnx.load("small.onnx").graph.initializer if i.name == "w_scale")
    rest = tuple(index for index in range(exact.ndim) if index != axis)
    return int(np.prod(scale.dims)), (np.abs(small - exact).max(rest) / np.abs(exact).max(rest)).astype(float).round(
        2
    ).tolist()


conv = helper.make_node("Conv", ["x", "w"], ["y"], group=CHANNELS, pads=[1] * 4, kernel_shape=[3, 3])
inputs = {
    "conv": (
        model(
            "conv", conv, random.normal(size=(CHANNELS, 1, 3, 3)) * sizes[:, None, None, None], [1, CHANNELS, 16, 16]
        ),
        1,
    ),
    "matmul": (
        model(
            "matmul",
            helper.make_node("MatMul", ["x", "w"], ["y"]),
            random.normal(size=(CHANNELS, CHANNELS)) * sizes,
            [16, CHANNELS],
        ),
        1,
    ),
}
print("onnxruntime", onnxruntime.__version__, "onnx", onnx.__version__, "numpy", np.__version__)
seen = {}
for name, (x, axis) in inputs.items():
    for per_channel in (False, True):
        seen[name, per_channel] = errors(name, x, axis, per_channel)
        print(
            f"{name}, per_channel={per_channel}: {seen[name, per_channel][0]} scale(s), largest relative error by channel {seen[name, per_channel][1]}"
        )
as_seen = (
    seen["conv", True] == seen["conv", False]
    and seen["conv", True][0] == 1
    and seen["conv", True][1][-1] == 1.0
    and seen["matmul", True][0] == CHANNELS
)
sys.exit(0 if as_seen else "the behaviour has changed")
PYTHON
