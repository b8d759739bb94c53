#!/bin/sh
# Expected: on one process, gather_for_metrics gives back what it got. Its docstring says that it drops duplicates "if on a
# distributed system". Trainer.predict of transformers gives one row for each row that the network gave.
# Seen (accelerate 1.15.0, transformers 5.23.0, torch 2.13.0): if the last batch is smaller than the others, its rows are cut
# to the number of its IMAGES, also on one process. Where an image has several expressions, the other expressions of the last
# images are lost: five images with 17 expressions give 17, 13, 11, 13 and 17 rows for batches of 1 to 5 images. Predictions
# and labels are cut alike, so nothing fails and no message is given. A list that gather_for_metrics gets is cut, too.
# Where: accelerate/accelerator.py, gather_for_metrics: it takes the first `remainder` rows of the last batch, and
# accelerate/data_loader.py computes `remainder` from the length of the data set and the batch size. transformers/trainer.py
# gathers its predictions by this function.
# For referring expressions: a collate function that groups expressions by image, as RefCOCO with its 7 expressions an image
# suggests, leaves expressions out of the score, and which ones depends on the batch size. On one process, leave the call
# out. On several, count in each process, and leave out repeated images by an index of your own. With Trainer, make one
# row an expression, or take a batch size that divides the number of images.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
    accelerate==1.15.0 transformers==5.23.0 torch==2.13.0 numpy==2.4.6 >"$work/pip.log" 2>&1 ||
    { tail -5 "$work/pip.log"; exit 1; }
cd "$work"
HF_HOME="$work/cache" HF_HUB_OFFLINE=1 TRANSFORMERS_VERBOSITY=error "$work/venv/bin/python" - <<'PYTHON' 2>"$work/log" ||
import sys
from importlib.metadata import version

import torch
from accelerate import Accelerator
from torch.utils.data import DataLoader
from transformers import Trainer, TrainingArguments

EXPRESSIONS = [3, 2, 4, 3, 5]  # of each image
IMAGES = list(range(len(EXPRESSIONS)))


def collate(images):
    """B images with all of their expressions; expression 2 of image 4 has the number 42."""
    numbers = torch.cat([10 * image + torch.arange(EXPRESSIONS[image]) for image in images])
    return {"pixels": torch.zeros(len(images), 3, 8, 8), "numbers": numbers, "labels": numbers}


class Echo(torch.nn.Module):
    """A network that answers each expression with its number."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))

    def forward(self, pixels, numbers, labels):
        return {"loss": self.weight, "logits": numbers[:, None].float()}


def by_accelerate(batch_size, how):
    accelerator = Accelerator(cpu=True)
    assert accelerator.num_processes == 1
    found = []
    for batch in accelerator.prepare(DataLoader(IMAGES, batch_size=batch_size, collate_fn=collate)):
        gathered = {
            "gather": lambda: accelerator.gather(batch["numbers"]),
            "gather_for_metrics": lambda: accelerator.gather_for_metrics(batch["numbers"]),
            "gather_for_metrics of a list": lambda: accelerator.gather_for_metrics([str(n) for n in batch["numbers"].tolist()]),
        }[how]()
        found += [int(number) for number in gathered]
    return found


def by_trainer(batch_size):
    arguments = TrainingArguments(
        output_dir="run",
        per_device_eval_batch_size=batch_size,
        use_cpu=True,
        report_to=[],
        remove_unused_columns=False,
        disable_tqdm=True,
        label_names=["labels"],
    )
    answer = Trainer(model=Echo(), args=arguments, data_collator=collate).predict(IMAGES)
    assert answer.predictions[:, 0].tolist() == answer.label_ids.tolist()  # cut alike
    return [int(number) for number in answer.label_ids]


print(*(f"{name} {version(name)}" for name in ("accelerate", "transformers", "torch")))
every = collate(IMAGES)["numbers"].tolist()
print(f"{len(IMAGES)} images, {len(every)} expressions, one process; expressions that come back:")
ways = ["gather", "gather_for_metrics", "gather_for_metrics of a list"]
found = {how: [by_accelerate(size, how) for size in range(1, 6)] for how in ways}
found["Trainer.predict"] = [by_trainer(size) for size in range(1, 6)]
for how, lists in found.items():
    print(f"    {how:29} batches of 1 to 5 images: {[len(numbers) for numbers in lists]}")
print("    missing with batches of 2:", sorted(set(every) - set(found["Trainer.predict"][1])))
seen = {how: [len(numbers) for numbers in lists] for how, lists in found.items()}
cut = [17, 13, 11, 13, 17]
as_seen = seen.pop("gather") == [17] * 5 and all(counts == cut for counts in seen.values())
sys.exit(0 if as_seen else "the behaviour has changed")
PYTHON
    { tail -5 "$work/log"; exit 1; }
