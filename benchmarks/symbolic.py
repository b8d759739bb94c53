"""M3Att against the paper's generic attention, with everything around them, on scenes of symbols: minutes, not hours.

    python benchmarks/symbolic.py [--seeds N] [--rows NAME,NAME] [--json FILE]

A scene has 16 cells, of which 6 hold an object with one of 4 kinds and one of 4 colours. F_vis states kind, colour and
place without error, so there is no backbone to learn. An expression has two words:

- match: a colour and a kind, which one object has;
- compare: "leftmost", "rightmost", "topmost" or "lowest", and a kind of which there are two objects or more.

The network is this project's: a transformer encoder layer, two decoder layers with IMI, and the mask decoder of Fig. 6
without upsampling. An answer is right if the most probable cell is the referent's. Guessing one of the objects gives
16.7 per cent. All rows of a seed see the same scenes, and all have the same steps and learning rate.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
import time
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from m3att.config import DecoderConfig, ModelConfig
from m3att.model.build import build_decoder
from m3att.model.grid import Grid
from m3att.model.grouping import Grouping
from m3att.model.mask_decoder import MaskDecoder
from m3att.model.position import encode_grid, encode_positions
from m3att.report.seeds import paired_interval

SIDE, KINDS, COLOURS, OBJECTS, BATCH, CHANNELS = 4, 4, 4, 6, 64, 32
CELLS, DIRECTIONS, LAYERS, HEADS, RATE = SIDE * SIDE, 4, 2, 4, 2e-3
ROWS: dict[str, dict[str, Any]] = {
    "M3Att": {"attention": "shared"},
    "generic attention": {"attention": "generic"},
    "LAV in M3Att's place": {"attention": "lav"},
    "M3Att and LAV": {"attention": "shared", "fusion_vision": True},
}


class Scenes(NamedTuple):
    """A batch: kind and colour of each cell (0: empty), the two words, the referent's cell, and whether it compares."""

    kind_BP: Tensor
    colour_BP: Tensor
    word_ids_B2: Tensor
    cell_B: Tensor
    compares_B: Tensor


def draw(chance: random.Random) -> Scenes:
    """Random scenes with one expression each, half of them of each sort. Scenes without an answer are drawn again."""
    kept: list[tuple[list[int], list[int], list[int], int, bool]] = []
    while len(kept) < BATCH:
        compares = len(kept) % 2 == 1
        places = chance.sample(range(CELLS), OBJECTS)
        kinds = chance.choices(range(1, KINDS + 1), k=OBJECTS)
        colours = chance.choices(range(1, COLOURS + 1), k=OBJECTS)
        first, direction = chance.randrange(OBJECTS), chance.randrange(DIRECTIONS)
        alike = [number for number in range(OBJECTS) if kinds[number] == kinds[first]]
        if compares:
            order = sorted(alike, key=lambda number: coordinate(places[number], direction))
            if len(alike) < 2 or coordinate(places[order[0]], direction) == coordinate(places[order[1]], direction):
                continue
            referent, word = order[0], 1 + COLOURS + direction
        else:
            referent, word = first, colours[first]
            if sum(colours[number] == colours[first] for number in alike) > 1:
                continue
        kind_P, colour_P = [0] * CELLS, [0] * CELLS
        for place, kind, colour in zip(places, kinds, colours, strict=True):
            kind_P[place], colour_P[place] = kind, colour
        words = [word, COLOURS + DIRECTIONS + kinds[first]]
        kept.append((kind_P, colour_P, words, places[referent], compares))
    return Scenes(*(torch.tensor(part) for part in zip(*kept, strict=True)))


def coordinate(place: int, direction: int) -> int:
    """What is smallest for the leftmost, rightmost, topmost and lowest cell."""
    row, column = divmod(place, SIDE)
    return (column, -column, row, -row)[direction]


class Network(nn.Module):
    """Embeddings, encoder layer, decoder and mask decoder.

    Args:
        settings: of the decoder.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        super().__init__()
        self.grid = Grid(SIDE, SIDE, 1)
        self.kinds, self.colours = nn.Embedding(KINDS + 1, CHANNELS), nn.Embedding(COLOURS + 1, CHANNELS)
        self.words = nn.Embedding(1 + COLOURS + DIRECTIONS + KINDS, CHANNELS)
        self.encoder = nn.TransformerEncoderLayer(CHANNELS, HEADS, 2 * CHANNELS, 0.0, batch_first=True)
        self.mask = MaskDecoder(CHANNELS, 2, self.grid, width=CHANNELS, upsamplings=0, heads=HEADS)
        decoder = DecoderConfig(layers=LAYERS, heads=HEADS, feedforward=2, injection=0.0, **settings)
        self.decoder = build_decoder(ModelConfig(channels=CHANNELS, word_limit=2, decoder=decoder), self.grid)

    def forward(self, scenes: Scenes) -> Tensor:
        """Logits of the cells (B, P)."""
        code_PC = encode_grid(self.grid, CHANNELS, self.grid, scenes.kind_BP.device)
        vis_BPC = self.encoder(self.kinds(scenes.kind_BP) + self.colours(scenes.colour_BP) + code_PC)
        words_BLC = self.words(scenes.word_ids_B2) + encode_positions(torch.arange(2), CHANNELS)
        mask_BL = torch.ones_like(scenes.word_ids_B2, dtype=torch.bool)
        grouping = Grouping.of(torch.arange(len(vis_BPC)), len(vis_BPC))
        decoded_BLC = self.decoder(words_BLC, mask_BL, vis_BPC, grouping, self.grid)
        logits_BHW: Tensor = self.mask(decoded_BLC, mask_BL, vis_BPC, grouping, self.grid)
        return logits_BHW.flatten(1)


def accuracies(settings: dict[str, Any], seed: int, steps: int) -> tuple[float, float, float]:
    """Train one network; returns the shares of right answers to 4,096 new expressions: all, match, compare."""
    torch.manual_seed(seed)
    chance = random.Random(1000 + seed)  # the same scenes for every row of a seed
    network = Network(settings)
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=0.01)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1.0, (step + 1) / 50) * (1 + math.cos(math.pi * step / steps)) / 2
        scenes = draw(chance)
        logits_BP = network(scenes)
        target_BP = functional.one_hot(scenes.cell_B, CELLS).float()
        loss = functional.binary_cross_entropy_with_logits(logits_BP, target_BP)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
    network.eval()
    right, compares = [], []
    with torch.no_grad():
        for _ in range(4096 // BATCH):
            scenes = draw(chance)
            right.append(network(scenes).argmax(dim=1) == scenes.cell_B)
            compares.append(scenes.compares_B)
    right_N, compares_N = torch.cat(right).float(), torch.cat(compares)
    return float(right_N.mean()), float(right_N[~compares_N].mean()), float(right_N[compares_N].mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--rows", default="M3Att,generic attention,M3Att and LAV", help=", ".join(ROWS))
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    begun, rows = time.process_time(), {name: {"all": [], "match": [], "compare": []} for name in given.rows.split(",")}
    for seed in range(given.seeds):  # all rows of a seed before the next, so that an interruption leaves pairs
        for name, figures in rows.items():
            for question, share in zip(figures, accuracies(ROWS[name], seed, given.steps), strict=True):
                figures[question].append(share)
            print(f"seed {seed}, {name}: " + ", ".join(f"{key} {100 * own[-1]:.1f}" for key, own in figures.items()),
                  flush=True)  # fmt: skip
        first = next(iter(rows))
        found = [
            {"row": name, **figures, "less_first": None if name == first else differences(figures, rows[first])}
            for name, figures in rows.items()
        ]
        if given.json is not None:
            settings = {"seeds": seed + 1, "steps": given.steps, "batch": BATCH, "channels": CHANNELS, "rate": RATE}
            seconds = round(time.process_time() - begun, 1)
            given.json.write_text(json.dumps({**settings, "cpu_seconds": seconds, "rows": found}, indent=1) + "\n")
    for row in found:
        print(row["row"], {key: f"{100 * statistics.mean(row[key]):.1f}" for key in ("all", "match", "compare")},
              row["less_first"])  # fmt: skip


def differences(own: dict[str, list[float]], first: dict[str, list[float]]) -> dict[str, Any]:
    """Mean difference and interval of each question."""
    found = {}
    for question, values in own.items():
        pairs = [mine - theirs for mine, theirs in zip(values, first[question], strict=True)]
        found[question] = {"mean": statistics.mean(pairs), "interval": paired_interval(pairs)}
    return found


if __name__ == "__main__":
    main()
