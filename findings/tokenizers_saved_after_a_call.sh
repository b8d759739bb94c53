#!/bin/sh
# Expected: a tokenizer written by save_pretrained holds the words and rules, and no trace of the calls before.
# Seen (transformers 5.23.0, tokenizers 0.23.3): truncation and padding of the last call are written into tokenizer.json.
# transformers resets them when it reads the file. tokenizers alone applies them: after a call
# with max_length=5, every sentence has exactly 5 tokens. Longer ones lose their end, shorter ones gain padding.
# Where: transformers/tokenization_utils_tokenizers.py: set_truncation_and_padding changes the backend, and nothing undoes it
# before the backend is saved.
# For expressions: beside an exported network, tokenizers reads "the man in a red jacket" and not on which side he is. Save
# before the first call, or call no_truncation() and no_padding() on what Tokenizer.from_file gives.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
    transformers==5.23.0 tokenizers==0.23.3 >"$work/pip.log" 2>&1 ||
    { tail -5 "$work/pip.log"; exit 1; }
cd "$work"
HF_HOME="$work/cache" HF_HUB_OFFLINE=1 TRANSFORMERS_VERBOSITY=error "$work/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

long, short = "the man in a red jacket on the left side", "the dog"
words = ["[PAD]", "[UNK]", *dict.fromkeys((long + " " + short).split())]
rules = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="[UNK]"))
rules.pre_tokenizer = pre_tokenizers.Whitespace()
tokenizer = PreTrainedTokenizerFast(tokenizer_object=rules, unk_token="[UNK]", pad_token="[PAD]")

tokenizer.save_pretrained("before")
tokenizer([short], padding="max_length", truncation=True, max_length=5)
tokenizer.save_pretrained("after")
tokenizer([short])
tokenizer.save_pretrained("after a plain call")

print(*(f"{name} {version(name)}" for name in ("transformers", "tokenizers")))
seen = {}
for folder in ("before", "after", "after a plain call"):
    alone = Tokenizer.from_file(f"{folder}/tokenizer.json")
    again = PreTrainedTokenizerFast.from_pretrained(folder)
    seen[folder] = [[len(alone.encode(text).ids), len(again(text)["input_ids"])] for text in (long, short)]
    print(f"saved {folder}: tokenizers {alone.encode(long).tokens} and {alone.encode(short).tokens}")
    print(f"    tokens (tokenizers, transformers): {seen[folder]}")
plain = [[10, 10], [2, 2]]
as_seen = seen == {"before": plain, "after": [[5, 10], [5, 2]], "after a plain call": plain}
sys.exit(0 if as_seen else "the behaviour has changed")
PYTHON
