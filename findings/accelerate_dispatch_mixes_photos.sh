#!/bin/sh
# Expected: where a prepared DataLoader gives each process a part of every batch, an expression stays with its photo, or the
# batch is refused.
# Seen (accelerate 1.15.0, torch 2.13.0, two processes): the first tensor of a batch sets the size, and all other tensors are
# cut at the same rows. A batch has photos, more expressions than photos, and the place of each expression's photo. Of 22
# expressions 8 reach a process, and 4 of these meet the pixels of another photo. There is no message.
# Where: accelerate/data_loader.py, DataLoaderDispatcher.__iter__ (find_batch_size, slice_tensors). accelerate uses it for
# every IterableDataset, so for tar shards and streamed data sets. A Dataset with a length is read in another way.
# For referring expressions: who encodes a photo once for all its expressions trains on wrong pairs as soon as there are
# two processes. On one process that torchrun started, 8 of 22 arrive as well, with the right photos. Give
# Accelerator(dataloader_config=DataLoaderConfiguration(dispatch_batches=False)), and let each process read shards of its own.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
    accelerate==1.15.0 torch==2.13.0 numpy==2.4.6 >"$work/pip.log" 2>&1 ||
    { tail -5 "$work/pip.log"; exit 1; }
cd "$work"
cat >pairs.py <<'PYTHON'
import json
import sys
from pathlib import Path

import torch
from accelerate import Accelerator, DataLoaderConfiguration
from torch.utils.data import DataLoader, IterableDataset

EXPRESSIONS = [3, 2, 4, 3, 5, 1, 2, 2]  # of each photo


class Shards(IterableDataset):
    def __init__(self, part=0, parts=1):
        self.photos = range(len(EXPRESSIONS))[part::parts]

    def __iter__(self):
        return iter(self.photos)


def collate(photos):
    """B photos and all of their expressions. A pixel has the number of its photo, expression 2 of photo 4 has the number 42."""
    counts = torch.tensor([EXPRESSIONS[photo] for photo in photos])
    return {
        "pixels": torch.tensor(photos)[:, None, None, None].expand(-1, 3, 4, 4),
        "photo_of": torch.arange(len(photos)).repeat_interleave(counts),
        "expressions": torch.cat([10 * photo + torch.arange(EXPRESSIONS[photo]) for photo in photos]),
    }


way, out = sys.argv[1:]
config = DataLoaderConfiguration(dispatch_batches=None if way == "default" else False)
accelerator = Accelerator(cpu=True, dataloader_config=config)
me, parts = accelerator.process_index, accelerator.num_processes
if way == "default":
    loader = accelerator.prepare(DataLoader(Shards(), batch_size=2, collate_fn=collate))
else:  # each process reads its own photos, and accelerate does not share them out
    loader = DataLoader(Shards(me, parts), batch_size=2, collate_fn=collate)
pairs = []
for batch in loader:
    met = batch["pixels"][batch["photo_of"], 0, 0, 0]  # the pixels that each expression is read with
    pairs += zip(batch["expressions"].tolist(), met.tolist(), strict=True)
Path(out, f"{way}-{parts}-{me}.json").write_text(json.dumps(pairs))
PYTHON
for processes in 1 2; do
    for way in default own; do
        "$work/venv/bin/torchrun" --standalone --nproc_per_node "$processes" pairs.py "$way" . >"$work/run.log" 2>&1 ||
            { tail -5 "$work/run.log"; exit 1; }
    done
done
"$work/venv/bin/python" - <<'PYTHON'
import json
import sys
from importlib.metadata import version
from pathlib import Path

print(*(f"{name} {version(name)}" for name in ("accelerate", "torch")))
seen = []
for processes in (1, 2):
    for way in ("default", "own"):
        pairs = [pair for path in sorted(Path().glob(f"{way}-{processes}-*.json")) for pair in json.loads(path.read_text())]
        wrong = [f"expression {expression} with photo {photo}" for expression, photo in pairs if expression // 10 != photo]
        seen.append((len(pairs), len(wrong)))
        name = "default" if way == "default" else "each process reads its own photos"
        print(f"{processes} process(es), {name}: {len(pairs)} of 22 expressions arrive, with a wrong photo {len(wrong)}", *wrong, sep="\n    ")
sys.exit(0 if seen == [(8, 0), (22, 0), (8, 4), (22, 0)] else "the behaviour has changed")
PYTHON
