"""The settings of the protocol: `evaluate`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class EvaluateConfig:
    """How masks are scored."""

    threshold: float = 0.35
    """Probability over which a pixel belongs to the mask, in prediction and under protocol `original`. Reports of
    `original` also give 0.35 and 0.5. The other protocols have thresholds of their own."""
    region: Literal["all", "peak"] = "all"
    """Which of the pixels over the threshold are the mask, under every protocol: `all` of them, or only the connected
    region that holds the most probable pixel (`peak`)."""
    protocol: Literal["original", "lavt", "vlt", "mcn", "cris", "cris-val", "refer", "rela", "all"] = "original"
    """Rules that turn masks into figures. `original` compares at the image's own resolution. The others do what the
    public evaluator of that name does. `all` shows all of them."""
    batch_size: int = 64
    """Expressions that are scored at once."""
    nearest_spelling: bool = False
    """Score with unknown words read as their nearest known spelling, as `predict` reads them. Off: each is read as the
    unknown word, as in training and in other projects."""
