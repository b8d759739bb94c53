#!/bin/sh
# Expected: the moving average of a network that does not change is that network.
# Seen (torch 2.13.0, transformers 5.23.0): not with `AveragedModel(..., use_buffers=True)` and `get_ema_multi_avg_fn`, the
# recipe of PyTorch's own documentation for networks with BatchNorm. Tables of whole numbers are buffers too. With a decay
# of 0.9999, 99 of BERT's 512 position ids become one smaller, and the averaged network answers otherwise. With 0.9 it is
# 147, with 0.9995 160, with 0.99 and 0.999 none. Nothing is said, and position ids are in no file of weights.
# Where: torch/optim/swa_utils.py, get_ema_multi_avg_fn: `p_ema.copy_(p_ema * decay + p_model * (1 - decay))`. The sum is
# a little below the whole number, and the copy cuts off what follows the point.
# For referring models: the words of the average stand in other places than in training, so "left" and "right of" are read
# wrongly, while the weights look right. Give `multi_avg_fn` a function that copies what is not floating point.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
    torch==2.13.0 transformers==5.23.0 numpy==2.4.6 >"$work/pip.log" 2>&1 ||
    { tail -5 "$work/pip.log"; exit 1; }
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from transformers import BertConfig, BertModel

print("torch", version("torch"), "transformers", version("transformers"))
torch.manual_seed(0)
sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
bert = BertModel(BertConfig(vocab_size=100, **sizes)).eval()
words = torch.randint(0, 100, (1, 512))


def move(decay):
    """An average of 50 steps in which nothing was trained: changed position ids, and how far its answer is off."""
    average = AveragedModel(bert, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
    for _ in range(50):
        average.update_parameters(bert)
    weights = zip(bert.parameters(), average.module.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in weights)
    with torch.no_grad():
        off = (bert(words)[0] - average.module(words)[0]).abs().max().item()
    ids = average.module.embeddings.position_ids
    return int((ids != torch.arange(512)).sum()), round(off, 3)


seen = {decay: move(decay) for decay in (0.9, 0.99, 0.999, 0.9995, 0.9999)}
for decay, (changed, off) in seen.items():
    print(f"decay {decay}: weights equal, {changed} of 512 position ids changed, outputs differ by up to {off}")
counts = [changed for changed, _ in seen.values()]
same = counts == [147, 0, 0, 160, 99] and seen[0.9999][1] > 0.5 and seen[0.999][1] == 0
print("as described" if same else "the behaviour has changed")
sys.exit(0 if same else 1)
PYTHON
