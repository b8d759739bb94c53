"""How fast a fresh network connects colour words with what it sees, from several starts of its weights.

    python benchmarks/start.py [--steps 250] [--json FILE]

Each row trains the tiny network on the same batches of ShapeRef's plain colour expressions ("the red car", "the blue
one") at 96 pixels and reports the Dice loss, averaged over the last 50 steps. A row takes a minute on one core.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import nn

from m3att.config import InputConfig, ModelConfig
from m3att.data.batch import make_batch
from m3att.data.sample import Sample
from m3att.data.shaperef.source import ShapeRefSource
from m3att.data.text import Tokenizer
from m3att.losses import total_loss
from m3att.model.build import build_network
from m3att.model.m3dec import M3DecLayer
from m3att.model.network import M3AttNet
from m3att.presets import tiny_network
from m3att.targets import mask_targets

IMAGES, BATCH, WARMUP, RATE = 1500, 12, 100, 1e-3
PLAIN = (("colour",), ("colour", "kind"))


def pytorch_start(network: M3AttNet) -> None:
    """Undo the zero start of M3Dec's residual branches."""
    for layer in network.decoder.layers:
        assert isinstance(layer, M3DecLayer)
        for attention in (layer.self_attention, layer.cross_attention):
            nn.init.kaiming_uniform_(attention.out_proj.weight, a=5**0.5)
        layer.feedforward[2].reset_parameters()


def as_built(network: M3AttNet) -> None:
    """Leave the network as it is."""


Row = tuple[str, ModelConfig, Callable[[M3AttNet], None]]


def rows() -> list[Row]:
    """What is compared."""
    tiny = tiny_network()
    decoder = tiny.decoder
    return [
        ("PyTorch's start, w_ci 0.1", replace(tiny, decoder=replace(decoder, injection=0.1)), pytorch_start),
        ("zero start, w_ci 0.1", replace(tiny, decoder=replace(decoder, injection=0.1)), as_built),
        ("zero start, w_ci 0 (the preset)", tiny, as_built),
        ("zero start, no IMI", replace(tiny, decoder=replace(decoder, interaction="none")), as_built),
        ("PyTorch's start, no IMI", replace(tiny, decoder=replace(decoder, interaction="none")), pytorch_start),
    ]


def colour_samples() -> list[Sample]:
    """Scenes with their plain colour expressions alone."""
    source = ShapeRefSource("shaperef+", "train", IMAGES)
    samples = []
    for index in range(IMAGES):
        skills = source.read(index).skills
        kept = [position for position, tags in enumerate(skills) if tags in PLAIN]
        if kept:
            samples.append(source.read(index, kept))
    return samples


def dice_after(config: ModelConfig, start: Callable[[M3AttNet], None], samples: list[Sample], steps: int) -> float:
    """The Dice loss of the last 50 of ``steps`` steps."""
    tokenizer = Tokenizer.from_texts((text for sample in samples for text in sample.expressions), config.word_limit)
    torch.manual_seed(0)
    inputs = InputConfig(96, "stretch")
    network = build_network(config, inputs.size, tokenizer.size).to(memory_format=torch.channels_last)
    start(network)
    optimizer = torch.optim.AdamW(network.parameters(), RATE, weight_decay=0.01, fused=True)
    chance = np.random.default_rng(0)
    dice = []
    for step in range(steps):
        chosen = chance.choice(len(samples), BATCH, replace=False)
        batch = make_batch([samples[at] for at in chosen], tokenizer, inputs, keep_samples=False)
        output = network(batch.pixels_BCHW, batch.image_index_N, batch.word_ids_NL, batch.word_mask_NL, True)
        size = (output.mask_logits_NHW.shape[1], output.mask_logits_NHW.shape[2])
        targets_NHW = mask_targets(batch.masks_MHW, batch.mask_index_N, size, output.mask_stride)
        losses = total_loss(
            output.mask_logits_NHW, output.reconstructed_NC, output.projected_NC, targets_NHW, dice_weight=1.0
        )
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1.0, (step + 1) / WARMUP)
        optimizer.zero_grad()
        losses.total.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        dice.append(float(losses.dice.detach()))
    return float(np.mean(dice[-50:]))


def main() -> None:
    """Train each row, print and write what it came to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--json", type=Path, default=None)
    given = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    samples = colour_samples()
    found = {}
    for name, config, start in rows():
        found[name] = round(dice_after(config, start, samples, given.steps), 4)
        print(f"{name}: Dice loss {found[name]:.3f} after {given.steps} steps", flush=True)
    if given.json is not None:
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
