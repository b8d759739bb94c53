"""The validations of a training: on the split that it is to learn, and on what it is not to forget."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch

from m3att.config import RunConfig
from m3att.data.faults import Fault
from m3att.data.open import MixedSource, open_old
from m3att.data.source import Source
from m3att.data.text import Tokenizer
from m3att.engine.distributed import ALONE, Processes
from m3att.engine.evaluate import Watch, evaluate
from m3att.errors import DataError
from m3att.model.network import M3AttNet

NEW, OLD = "val", "old"  # what the names of their figures begin with
AGREEMENT = "agreement"  # name of the figure that the best model is chosen by


@dataclass(frozen=True)
class Validated:
    """What a validation found.

    Args:
        figures: by name, as metrics.jsonl has them.
        agreement: what the best model is chosen by: the mean of the agreements on all sources.
        left_out: what could not be read.
    """

    figures: dict[str, float]
    agreement: float
    left_out: tuple[Fault, ...]


def open_old_validation(config: RunConfig) -> Source | None:
    """The part of `data.old` that is validated on, as one source; None without such data.

    Args:
        config: of the run.

    Raises:
        DataError: where one cannot be opened.
    """
    sources = open_old(config.data, config.data.split)
    return None if not sources else sources[0] if len(sources) == 1 else MixedSource(sources)


def validate(
    network: M3AttNet,
    tokenizer: Tokenizer,
    validation: Source,
    old: Source | None,
    config: RunConfig,
    device: torch.device,
    processes: Processes = ALONE,
    watch: Watch | None = None,
) -> Validated:
    """Score a network on the first ``train.validate_images`` images of each source.

    Args:
        network: is left in the mode that it is in.
        tokenizer: its words.
        validation: the split that the run is to learn.
        old: what it is not to forget.
        config: of the run.
        device: of the network.
        processes: that train together.
        watch: sees the masks of the split that the run is to learn; see `evaluate`.

    Raises:
        DataError: where nothing of a source can be read. A score of 0 would be wrong, and would count as one.
    """
    data = replace(config.data, images=config.train.validate_images)
    figures: dict[str, float] = {}
    agreements: list[float] = []
    left_out: tuple[Fault, ...] = ()
    for name, source in named(validation, old):
        seen = watch if name == NEW else None
        scores = evaluate(
            network, tokenizer, source, config.input, config.evaluate, data, 0, device, watch=seen, processes=processes
        )
        if not scores.expressions and not scores.boxes:
            reason = f": {scores.left_out[0].reason}" if scores.left_out else ""
            raise DataError(f"nothing to validate on ({name}): no image of the split can be read{reason}")
        figures |= scores.validation(name)
        agreements.append(scores.agreement)
        left_out += scores.left_out
    agreement = sum(agreements) / len(agreements)
    return Validated({**figures, AGREEMENT: agreement}, agreement, left_out)


def named(validation: Source, old: Source | None) -> Iterator[tuple[str, Source]]:
    """The sources of a validation by the name of their figures."""
    yield NEW, validation
    if old is not None:
        yield OLD, old
