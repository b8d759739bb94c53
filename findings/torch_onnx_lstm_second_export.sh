#!/bin/sh
# Expected: torch.onnx.export of one LSTM with dynamic_shapes gives the same model each time it is called.
# Seen (torch 2.13.0, onnxscript 0.7.2): the first export in a process has a free sentence length. In the second the
# length of the example is fixed; nothing says so, and the model refuses every other sentence when it is run.
# Where: torch/onnx/_internal/exporter/_capture_strategies.py. A replacement of the LSTM (register_lstm_while_loop_
# decomposition) keeps the length free. In the second call it does not take hold, for a new network neither;
# torch.export then reports "specialized to 7", and the exporter accepts that as a suggested fix.
# For referring models: an export script that writes the language part twice (float and small, or several models) ships a
# file that knows one sentence length. Export in a fresh process, and run each file at two lengths.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
    torch==2.13.0 onnxscript==0.7.2 onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6 >"$work/pip.log" 2>&1 ||
    { tail -5 "$work/pip.log"; exit 1; }
cd "$work"
"$work/venv/bin/python" - 2>"$work/log" <<'PYTHON'
import sys
import warnings
from importlib.metadata import version

import onnx
import onnxruntime
import torch

warnings.simplefilter("ignore")


class Sentence(torch.nn.Module):
    """A bidirectional LSTM over word vectors."""

    def __init__(self):
        super().__init__()
        self.lstm = torch.nn.LSTM(8, 8, batch_first=True, bidirectional=True)

    def forward(self, words):
        return self.lstm(words)[0]


network = Sentence().eval()
onnxruntime.set_default_logger_severity(4)
print(
    "torch", torch.__version__.split("+")[0], "onnxscript", version("onnxscript"), "onnxruntime", version("onnxruntime")
)
seen = []
for number in (1, 2):
    path = f"lstm{number}.onnx"
    length = torch.export.Dim("length", min=1, max=64)
    torch.onnx.export(
        network,
        (torch.rand(2, 7, 8),),
        path,
        dynamo=True,
        dynamic_shapes={"words": {1: length}},
        input_names=["words"],
        verbose=False,
    )
    shape = [d.dim_param or d.dim_value for d in onnx.load(path).graph.input[0].type.tensor_type.shape.dim]
    session = onnxruntime.InferenceSession(path)
    runs = {}
    for words in (7, 3, 12):
        try:
            runs[words] = str(session.run(None, {"words": torch.rand(2, words, 8).numpy()})[0].shape)
        except Exception as error:
            runs[words] = type(error).__name__
    seen.append(shape)
    print(f"export {number}: input {shape}, sentences of 7, 3 and 12 words: {list(runs.values())}")
sys.exit(0 if isinstance(seen[0][1], str) and seen[1][1] == 7 else "the behaviour has changed")
PYTHON
