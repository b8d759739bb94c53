"""What M3Att can tell of an image, in a minute: one module, invented images, two questions.

    python benchmarks/minimal.py [--seeds N] [--json FILE]

An image has 16 cells, of which 6 hold an object. An object has one of 8 kinds and one of 8 colours, and the features of
its cell state kind, colour and place without error. An expression has one word that names the kind of one object, and
other words that name nothing. The module alone is trained, with a linear layer that reads its output, the mean over the
words, to answer:

- what: which colour does the named object have? Guessing gives 12.5 per cent.
- where: in which cell does it lie? Guessing gives 6.25 per cent.

Nothing else is in the way: no backbone, no decoder around it, no mask. A module that passes the image on answers both.
docs/reproduction.md has the proof of what F_mul can hold.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from m3att.model.grid import Grid
from m3att.model.grouping import Grouping
from m3att.model.m3att import M3Att
from m3att.model.position import encode_grid, encode_positions
from m3att.report.seeds import paired_interval

SIDE, KINDS, COLOURS, OBJECTS, FILLERS = 4, 8, 8, 6, 8
CHANNELS, BATCH, LONGEST = 32, 64, 6
WORDS = (1, 2, 6)
ROWS: dict[str, dict[str, Any]] = {
    "M3Att": {"attention": "shared"},
    "M3Att and empty words": {"attention": "shared"},
    "M3Att and LAV": {"attention": "shared", "fusion_vision": True},
    "LAV alone": {"attention": "lav"},
}


class Questions(NamedTuple):
    """A batch: features of cells, word ids and the two answers."""

    kind_BP: Tensor
    colour_BP: Tensor
    word_ids_BL: Tensor
    colour_B: Tensor
    cell_B: Tensor


def draw(words: int, generator: torch.Generator) -> Questions:
    """Random images, each with one expression of so many words, of which the first names a kind."""
    cells = SIDE * SIDE
    order_BP = torch.rand(BATCH, cells, generator=generator).argsort(dim=1)
    kinds_BO = torch.rand(BATCH, KINDS, generator=generator).argsort(dim=1)[:, :OBJECTS] + 1  # no kind twice
    colours_BO = torch.randint(1, COLOURS + 1, (BATCH, OBJECTS), generator=generator)
    kind_BP, colour_BP = torch.zeros(BATCH, cells, dtype=torch.int64), torch.zeros(BATCH, cells, dtype=torch.int64)
    places_BO = order_BP[:, :OBJECTS]
    kind_BP.scatter_(1, places_BO, kinds_BO)
    colour_BP.scatter_(1, places_BO, colours_BO)
    fillers_BL = torch.randint(KINDS + 1, KINDS + 1 + FILLERS, (BATCH, words), generator=generator)
    word_ids_BL = torch.cat([kinds_BO[:, :1], fillers_BL[:, 1:]], dim=1)
    return Questions(kind_BP, colour_BP, word_ids_BL, colours_BO[:, 0] - 1, places_BO[:, 0])


class Answerer(nn.Module):
    """Embeddings, the module, and a linear read-out of the mean over the words.

    Args:
        empty: fill every expression up to LONGEST with empty words that count (`model.mask_padding` off).
        settings: of M3Att.
    """

    def __init__(self, empty: bool, settings: dict[str, Any]) -> None:
        super().__init__()
        self.empty, self.grid = empty, Grid(SIDE, SIDE, 1)
        self.kinds, self.colours = nn.Embedding(KINDS + 1, CHANNELS), nn.Embedding(COLOURS + 1, CHANNELS)
        self.words = nn.Embedding(KINDS + 1 + FILLERS, CHANNELS, padding_idx=0)
        self.mutual = M3Att(CHANNELS, self.grid, **settings)
        self.read = nn.Linear(CHANNELS, COLOURS + SIDE * SIDE)

    def forward(self, asked: Questions) -> tuple[Tensor, Tensor]:
        """Logits of the colour (B, 8) and of the cell (B, 16)."""
        ids_BL = asked.word_ids_BL
        if self.empty:
            ids_BL = functional.pad(ids_BL, (0, LONGEST - ids_BL.shape[1]))
        code_LC = encode_positions(torch.arange(ids_BL.shape[1]), CHANNELS)
        vis_BPC = self.kinds(asked.kind_BP) + self.colours(asked.colour_BP)
        vis_BPC = vis_BPC + encode_grid(self.grid, CHANNELS, self.grid, vis_BPC.device)
        grouping = Grouping.of(torch.arange(len(ids_BL)), len(ids_BL))
        mask_BL = torch.ones_like(ids_BL, dtype=torch.bool)
        output_BLC = self.mutual(self.words(ids_BL) + code_LC, mask_BL, vis_BPC, grouping, self.grid)
        read: Tensor = self.read(output_BLC.mean(dim=1))
        return read[:, :COLOURS], read[:, COLOURS:]


def accuracies(name: str, words: int, seed: int, steps: int) -> tuple[float, float]:
    """Train one module and ask it 4,096 new questions; returns the shares of right answers, what and where."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(1000 + seed)  # the same questions for every row of a seed
    network = Answerer("empty" in name, ROWS[name])
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 3e-3 * min(1.0, (step + 1) / 20) * (1 + math.cos(math.pi * step / steps)) / 2
        asked = draw(words, generator)
        colour, cell = network(asked)
        loss = functional.cross_entropy(colour, asked.colour_B) + functional.cross_entropy(cell, asked.cell_B)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    network.eval()
    right = torch.zeros(2)
    tests = 4096 // BATCH
    with torch.no_grad():
        for _ in range(tests):
            asked = draw(words, generator)
            colour, cell = network(asked)
            right += torch.stack(
                [(colour.argmax(dim=1) == asked.colour_B).sum(), (cell.argmax(dim=1) == asked.cell_B).sum()]
            )
    what, where = (right / (tests * BATCH)).tolist()
    return what, where


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    begun, rows = time.process_time(), []
    print("module, words: right answers in per cent, what and where; difference to M3Att with 95 % interval")
    for words in WORDS:
        for name in ROWS:
            found = [accuracies(name, words, seed, given.steps) for seed in range(given.seeds)]
            row: dict[str, Any] = {"module": name, "words": words}
            for number, question in enumerate(("what", "where")):
                row[question] = [one[number] for one in found]
                if name != "M3Att":
                    plain = next(one for one in rows if (one["module"], one["words"]) == ("M3Att", words))
                    pairs = [mine - theirs for mine, theirs in zip(row[question], plain[question], strict=True)]
                    row[f"{question}_difference"] = {"mean": statistics.mean(pairs), "interval": paired_interval(pairs)}
            rows.append(row)
            print(f"{name}, {words}: {said(row, 'what')}; {said(row, 'where')}", flush=True)
    seconds = round(time.process_time() - begun, 1)
    print(f"{seconds:g} CPU seconds")
    if given.json is not None:
        settings = {"seeds": given.seeds, "steps": given.steps, "batch": BATCH, "channels": CHANNELS}
        given.json.write_text(json.dumps({**settings, "cpu_seconds": seconds, "rows": rows}, indent=1) + "\n")


def said(row: dict[str, Any], question: str) -> str:
    """One figure of a row in words."""
    text = f"{question} {100 * statistics.mean(row[question]):.1f}"
    difference = row.get(f"{question}_difference")
    if difference is None:
        return text
    ends = difference["interval"]
    shown = f" ({100 * ends[0]:+.1f} to {100 * ends[1]:+.1f})" if ends else ""
    return f"{text}, {100 * difference['mean']:+.1f}{shown}"


if __name__ == "__main__":
    main()
