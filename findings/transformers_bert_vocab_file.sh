#!/bin/sh
# Expected: BertTokenizer(vocab_file="vocab.txt") reads that file, as it did through transformers 4.
# Seen (transformers 5.23.0): the argument is now `vocab`. `vocab_file` is swallowed by **kwargs, the tokenizer has the five
# special tokens and nothing else, every word becomes [UNK], and no warning is given. Its docstring still says that the
# vocabulary is loaded from `vocab_file`. from_pretrained of a folder with vocab.txt works.
# Where: transformers/models/bert/tokenization_bert.py, BertTokenizer.__init__ (`if vocab is None: vocab = {...}`).
# For referring expressions: two expressions of the same length have the same ids, so a model trains without its language
# and learns to pick the most likely object. Check len(tokenizer).
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
    transformers==5.23.0 >"$work/pip.log" 2>&1 ||
    { tail -5 "$work/pip.log"; exit 1; }
cd "$work"
HF_HUB_OFFLINE=1 TRANSFORMERS_VERBOSITY=warning "$work/venv/bin/python" - <<'PYTHON'
import sys
from pathlib import Path

import transformers
from transformers import BertTokenizer

words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "man", "dog", "in", "red", "left"]
Path("folder").mkdir()
Path("folder/vocab.txt").write_text("\n".join(words) + "\n")
print("transformers", transformers.__version__)
seen = {}
for name, tokenizer in (
    ("vocab_file=", BertTokenizer(vocab_file="folder/vocab.txt")),
    ("vocab=", BertTokenizer(vocab="folder/vocab.txt")),
    ("from_pretrained", BertTokenizer.from_pretrained("folder")),
):
    seen[name] = [tokenizer(text)["input_ids"] for text in ("the man in red", "the dog in red")]
    print(f"{name}: {len(tokenizer)} tokens, 'the man in red' {seen[name][0]}, 'the dog in red' {seen[name][1]}")
lost = seen["vocab_file="][0] == seen["vocab_file="][1] and set(seen["vocab_file="][0][1:-1]) == {1}
sys.exit(
    0
    if lost and seen["vocab="][0] != seen["vocab="][1] and seen["from_pretrained"] == seen["vocab="]
    else "the behaviour has changed"
)
PYTHON
