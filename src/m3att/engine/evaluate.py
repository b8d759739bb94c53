"""Scores a network, or a floor, on a source: exact inverse of the resize, integer counts, the field's figures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from m3att.config import DataConfig, EvaluateConfig, InputConfig
from m3att.data.batch import Batch, BatchReader, evaluation_batches
from m3att.data.open import MixedSource, pixel_source
from m3att.data.refer import ReferSource
from m3att.data.source import Source
from m3att.data.text import Tokenizer
from m3att.errors import ConfigError
from m3att.metrics import MaskCounts, Scores, count_masks
from m3att.model.network import M3AttNet

REPORTED_THRESHOLDS = (0.35, 0.5)
Progress = Callable[[int, int], None]  # expressions or images done, of how many batches


def evaluate(
    network: M3AttNet,
    tokenizer: Tokenizer,
    source: Source,
    inputs: InputConfig,
    config: EvaluateConfig,
    data: DataConfig,
    workers: int = 0,
    device: torch.device | None = None,
    progress: Progress | None = None,
) -> Scores:
    """Score a network on every expression of a source; each image is encoded once.

    Args:
        network: left in the mode it came in.
        tokenizer: the network's words.
        source: images, expressions and true masks.
        inputs: the network's input.
        config: threshold and protocol.
        data: what the source was opened by; ``images`` bounds it, ``same_words`` blinds the network.
        workers: processes that read.
        device: where the network is.
        progress: called after each batch with its number and how many there are.

    Returns:
        Counts at 0.35, 0.5 and the configured threshold.
    """
    device = device or torch.device("cpu")
    batches = evaluation_batches(source, config.batch_size, data.images)
    reader = BatchReader(source, tokenizer, inputs, data, training=False)
    # A generator of its own keeps the loader from drawing on the one that dropout uses: scoring changes no training.
    chance = torch.Generator()
    loader = DataLoader(reader, sampler=batches, batch_size=None, num_workers=workers, generator=chance)
    if workers:
        cv2.setNumThreads(0)  # a reading process forked beside OpenCV's own threads would hang
    thresholds = sorted({*REPORTED_THRESHOLDS, config.threshold})
    counts = {threshold: MaskCounts() for threshold in thresholds}
    cut, training = 0, network.training
    network.eval()
    with torch.inference_mode():
        for number, batch in enumerate(loader, start=1):
            moved = batch.to(device)
            output = network(moved.pixels_BCHW, moved.image_index_N, moved.word_ids_NL, moved.word_mask_NL)
            score_batch(output.mask_logits_NHW.float().cpu(), batch, config, counts)
            cut += batch.cut
            if progress is not None:
                progress(number, len(batches))
    network.train(training)
    return Scores(counts, config.threshold, about(source, data, config, batches) | {"cut_expressions": cut})


def score_batch(
    mask_logits_NHW: torch.Tensor, batch: Batch, config: EvaluateConfig, counts: dict[float, MaskCounts]
) -> None:
    """Add one batch's masks to the counts, image by image, at the resolution that the protocol names."""
    for number, (sample, resize) in enumerate(zip(batch.samples, batch.resizes, strict=True)):
        chosen = batch.image_index_N == number
        logits_nHW = mask_logits_NHW[chosen]
        if config.protocol == "original":
            probability_nHW = resize.probability(logits_nHW).numpy()
            truth_nHW = sample.masks_MHW[list(sample.mask_index_N)]
        else:
            size = (resize.size, resize.size)
            enlarged = F.interpolate(logits_nHW.unsqueeze(1), size=size, mode="bilinear", align_corners=False)
            probability_nHW = enlarged.squeeze(1).sigmoid().numpy()
            truth_nHW = batch.masks_MHW[batch.mask_index_N[chosen]].numpy() >= 128
        for threshold, counted in counts.items():
            count_masks(probability_nHW > threshold, truth_nHW, sample.skills, counted)


def evaluate_largest(
    source: Source, config: EvaluateConfig, data: DataConfig, progress: Progress | None = None
) -> Scores:
    """The floor of a guess without language: every expression of an image gets the mask of its largest object.

    Raises:
        ConfigError: where the source does not know the objects that no expression names.
    """
    if not isinstance(source, ReferSource):
        raise ConfigError("the largest-object floor needs a data set with annotations: give --data.root")
    counted = MaskCounts()
    batches = evaluation_batches(source, 10**9, data.images)
    groups = [group for batch in batches for group in batch]
    for number, group in enumerate(groups, start=1):
        sample = source.read(group.image, group.positions)
        truth_NHW = sample.masks_MHW[list(sample.mask_index_N)]
        largest_NHW: NDArray[np.bool_] = np.broadcast_to(source.read_largest(group.image), truth_NHW.shape)
        count_masks(largest_NHW, truth_NHW, sample.skills, counted)
        if progress is not None:
            progress(number, len(groups))
    counts = {threshold: counted for threshold in {*REPORTED_THRESHOLDS, config.threshold}}
    return Scores(counts, config.threshold, about(source, data, config, batches) | {"floor": "largest"})


def about(source: Source, data: DataConfig, config: EvaluateConfig, batches: list[Any]) -> dict[str, Any]:
    """Facts that a report needs beside the figures."""
    split_by = source.split_by if isinstance(source, ReferSource) else data.split_by
    return {
        "dataset": ",".join(dict.fromkeys(name.strip() for name in data.dataset.split(","))),
        "split_by": split_by,
        "split": data.split,
        "protocol": config.protocol,
        "pixels": pixel_source(source),
        "images": len({group.image for batch in batches for group in batch}),
        "same_words": data.same_words,
        "mixed": isinstance(source, MixedSource),
    }
