#!/bin/sh
# Expected: an ONNX LSTM that gets the lengths of its sentences (the input `sequence_lens`) has the same outputs everywhere.
# Seen (openvino 2026.4.1, onnx 1.23.2, onnxruntime 1.32.0): ONNX Runtime stops each sentence at its length. OpenVINO does so
# only when the shapes of the graph are fixed. With free shapes, as in any graph for sentences of several lengths, it reads
# the padding as words, and says nothing. The reference evaluator of onnx always reads the padding. It is meant to define
# what is right. LSTM, GRU and RNN behave alike.
# Where: onnx/reference/ops/op_lstm.py (`sequence_lens=None,  # noqa: ARG002`). OpenVINO's CPU plugin, LSTMSequence.
# For referring expressions: in a batch, every sentence but the longest is read wrongly. One of our own graphs, run so, drew
# masks with IoU 0.07 to 0.84 to those of ONNX Runtime, and the mask of the longest sentence was right. Call
# `model.reshape` with the shapes of each batch before `compile_model`, or give one sentence at a time without padding.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
    openvino==2026.4.1 onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6 >"$work/pip.log" 2>&1 ||
    { tail -5 "$work/pip.log"; exit 1; }
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
import onnx
import onnxruntime
import openvino
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

WORDS, FEATURES, HIDDEN = 6, 3, 5
LENGTHS = np.array([6, 3], np.int32)  # the second sentence has three words and three of padding
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
numbers = np.random.default_rng(0)
normal = lambda *shape: numbers.normal(size=shape).astype(np.float32)


def graph(kind):
    """A recurrent layer over two sentences or more, of any number of words, with their lengths as an input."""
    rows = GATES[kind] * HIDDEN
    weights = {"W": normal(1, rows, FEATURES), "R": normal(1, rows, HIDDEN), "B": normal(1, 2 * rows)}
    more = {"linear_before_reset": 1} if kind == "GRU" else {}
    layer = helper.make_node(kind, ["words", "W", "R", "B", "lengths"], ["", "last"], hidden_size=HIDDEN, **more)
    made = helper.make_model(
        helper.make_graph(
            [layer],
            kind,
            [
                helper.make_tensor_value_info("words", TensorProto.FLOAT, ["length", "sentences", FEATURES]),
                helper.make_tensor_value_info("lengths", TensorProto.INT32, ["sentences"]),
            ],
            [helper.make_tensor_value_info("last", TensorProto.FLOAT, [1, "sentences", HIDDEN])],
            [numpy_helper.from_array(value, name) for name, value in weights.items()],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=9,
    )
    onnx.checker.check_model(made, full_check=True)
    onnx.save(made, f"{kind}.onnx")
    return f"{kind}.onnx"


def in_openvino(path, inputs, fixed):
    """The last state in OpenVINO on the CPU, in float32, with free or with fixed shapes."""
    core = openvino.Core()
    model = core.read_model(path)
    if fixed:
        model.reshape({name: list(value.shape) for name, value in inputs.items()})
    return core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(inputs)[0]


print(*(f"{name} {version(name)}" for name in ("openvino", "onnx", "onnxruntime", "numpy")))
as_seen = True
for kind in GATES:
    path = graph(kind)
    words = normal(WORDS, 2, FEATURES)
    inputs = {"words": words, "lengths": LENGTHS}
    session = onnxruntime.InferenceSession(path)
    truth = session.run(None, inputs)[0]
    short = session.run(None, {"words": words[:3, 1:], "lengths": LENGTHS[1:]})[0]  # three words, no padding
    padding_read = session.run(None, {"words": words, "lengths": np.array([6, 6], np.int32)})[0]
    found = {
        "ONNX Runtime": truth,
        "OpenVINO, fixed shapes": in_openvino(path, inputs, True),
        "OpenVINO, free shapes": in_openvino(path, inputs, False),
        "onnx reference": ReferenceEvaluator(path).run(None, inputs)[0],
    }
    print(f"{kind}: difference of the second sentence's state from the same three words without padding")
    right = {}
    for name, state in found.items():
        difference = np.abs(state[0, 1] - short[0, 0]).max()
        right[name] = difference < 1e-4
        same = "as if the padding were words" if np.abs(state - padding_read).max() < 1e-4 else "the padding is not read"
        print(f"    {name:24} {difference:.4f}  {same}")
        as_seen &= right[name] == (same == "the padding is not read")
    as_seen &= list(right.values()) == [True, True, False, False]
sys.exit(0 if as_seen else "the behaviour has changed")
PYTHON
