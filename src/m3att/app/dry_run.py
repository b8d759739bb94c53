"""`m3att train --dry-run` and `m3att finetune --dry-run`: show what a run would cost.

PyTorch is imported inside the functions, so that help and errors appear at once.
"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from m3att.app.console import show, write_json
from m3att.config import RunConfig
from m3att.errors import counted


def add_dry_run(parser: ArgumentParser, more: str = "") -> None:
    """Add the option `--dry-run` to a command that trains.

    Args:
        parser: of the command.
        more: what its help says beside what holds for all commands.
    """
    parser.add_argument(
        "--dry-run",
        "--dry_run",
        action="store_true",
        help="build the network, count its parameters, operations and memory, take one optimiser step, and stop; no "
        f"run folder is written{more}",
    )


def run_dry(config: RunConfig, json_path: Path | None) -> int:
    """Show what a run would cost, and that its first step works."""
    from m3att.engine.dry_run import dry_run
    from m3att.report.tables import parts_table

    found = dry_run(config).to_dict()
    if json_path is not None:
        write_json(json_path, found)
    before, after = dry_run_lines(found)
    print("\n".join(before))
    show(parts_table(found))
    print("\n".join(after))
    return 0


def dry_run_lines(found: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """What stands above and below the table of a dry run, of `dry_run.DryRun.to_dict`."""
    config, memory, step = found["config"], found["memory"], found["step"]
    model, side, losses = config["model"], config["input"]["size"], step["losses"]
    halves = [model["vision"], model["language"]]
    encoders = [half["architecture"] or half["encoder"] for half in halves]
    start = config["train"]["init"]
    encoders = [f"{name} ({start or half['weights'] or 'fresh'})" for name, half in zip(encoders, halves, strict=True)]
    before = [
        f"{' and '.join(encoders)}; input {side} x {side}, {config['input']['resize']}; "
        f"{model['word_limit']} words; vocabulary {found['vocabulary']:,}; pixels: {found['pixels']}",
        *(f"note: {note}" for note in found["notes"]),
    ]
    sizes = {key: size_text(memory[key]) for key in memory if not key.startswith("batch_")}
    single = size_text(memory["batch_of_single_images"])
    used = (
        name for name in ("mask", "dice", "box", "reconstruction", "category", "attention", "ranking") if losses[name]
    )
    parts = ", ".join(f"{name} {losses[name]:.4f}" for name in used)
    length = f"{config['train']['epochs']:g} epochs" if found["steps"] is None else counted(found["steps"], "step")
    batch = "batch" if config["train"]["accumulate"] == 1 else "micro-batch"
    peak = "" if step["peak_bytes"] is None else f"; most memory so far: {size_text(step['peak_bytes'])}"
    return before, [
        "multiply-adds: one pass forward, matrix products, convolutions and recurrent cells; an expression of "
        f"{model['word_limit']} words",
        f"memory: weights {sizes['weights']}, gradients {sizes['gradients']}, optimiser {sizes['optimizer']}"
        + (f", moving average {sizes['average']}" if memory["average"] else "")
        + "; for the "
        f"backward pass {sizes['per_image']} an image and {sizes['per_expression']} an expression",
        f"a {batch} of {memory['batch_expressions']} expressions: {sizes['batch']} on {memory['batch_images']} images, "
        f"as the first batch has, {single} if each had its own; single operations need more while they run",
        f"the run: {length}",
        f"one step on {step['expressions']} expressions of {step['images']} images: {step['seconds']:.1f} s; "
        f"loss {losses['total']:.4f} ({parts}), gradient norm {step['gradient_norm']:.3g}, "
        f"learning rate {step['learning_rate']:.3g}{peak}",
    ]


def size_text(count: int) -> str:
    """Bytes in words."""
    return f"{count / 2**30:.2f} GiB" if count >= 2**30 else f"{count / 2**20:.1f} MiB"
