"""Scores a network, or a simple baseline, on a source, with integer counts for each protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from m3att.calibration import Calibration, Evidence
from m3att.config import DataConfig, EvaluateConfig, InputConfig
from m3att.data.batch import Batch, BatchReader
from m3att.data.faults import FaultLog
from m3att.data.masks import draw, mask_box
from m3att.data.order import Group, evaluation_batches
from m3att.data.sample import Sample
from m3att.data.source import Source, find_readable
from m3att.data.spelling import SpellingTokenizer
from m3att.data.text import Tokenizer
from m3att.engine.compare import compare, compare_boxes, compare_masks, contains, shared_pixels
from m3att.engine.distributed import ALONE, Processes
from m3att.engine.overlap import overlapped
from m3att.engine.parts import Part, joined_scores
from m3att.engine.scores import Scores
from m3att.errors import ConfigError, DataError, ImageError
from m3att.mask_map import MaskMap
from m3att.metrics import BoxScore, Expression, MaskCounts
from m3att.model.network import M3AttNet
from m3att.protocols import ORIGINAL, Protocol, chosen_protocols

REPORTED_THRESHOLDS = (0.35, 0.5)
Progress = Callable[[int, int], None]  # expressions or images done, of how many batches
# An image, a sample of those of its expressions that are scored by masks, their positions, and their masks (n, H, W).
Watch = Callable[[int, Sample, Sequence[int], NDArray[np.bool_]], None]


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
    calibration: Calibration | None = None,
    watch: Watch | None = None,
    processes: Processes = ALONE,
    keep_evidence: bool = False,
) -> Scores:
    """Score a network on every expression of a source; each image is encoded once.

    Several processes score the same batches as one, each some of them. So the counts do not depend on their number.
    Reading and scoring run in a second thread, beside the network.

    Args:
        network: left in the mode it came in.
        tokenizer: the network's words.
        source: images, expressions and true masks.
        inputs: the network's input.
        config: threshold and protocol.
        data: what the source was opened by; ``images`` bounds it, ``same_words`` blinds the network.
        workers: processes that read.
        device: where the network is.
        progress: called after each batch with its number and how many there are, in the second thread.
        calibration: of the model's scores; None: a score is the mean probability inside the mask.
        watch: sees the masks of each image while it is scored, in the order of the scores and in the second thread; no
            mask is kept. Of several processes, each sees its own.
        processes: that score together; each of them gets all scores.
        keep_evidence: keep what each map says about its mask, for a calibration.

    Returns:
        Counts under the protocols that are asked for, and under `original` at 0.35, 0.5 and the configured threshold.
        What could not be read is in no count, and named in ``left_out``. Expressions whose referents have a box and no
        mask are in ``boxes`` and in no count.

    Raises:
        DataError: where more cannot be read than ``data.fault_limit`` allows.
    """
    device = device or torch.device("cpu")
    batches = evaluation_batches(source, config.batch_size, data.images)
    source.prepare()
    tokenizer = SpellingTokenizer(tokenizer) if config.nearest_spelling else tokenizer
    reader = BatchReader(source, tokenizer, inputs, data, training=False)
    # A generator of its own, so that scoring does not change the dropout of a training.
    chance = torch.Generator()
    own = batches[processes.rank :: processes.count]
    loader = DataLoader(reader, sampler=own, batch_size=None, num_workers=workers, generator=chance)
    if workers:
        cv2.setNumThreads(0)  # otherwise a reading process that is forked while OpenCV has threads would hang
    scores = no_scores(source, data, config)
    training = network.training
    network.eval()
    parts: list[Part] = []
    faults = FaultLog(data.fault_limit)
    faults.add(source.faults)

    def compute(batch: Batch) -> tuple[torch.Tensor, float] | None:
        if not batch.groups:
            return None
        moved = batch.to(device)
        with torch.inference_mode():
            output = network(moved.pixels_BCHW, moved.image_index_N, moved.word_ids_NL, moved.word_mask_NL)
            return output.mask_logits_NHW.float().cpu(), output.mask_stride

    def finish(batch: Batch, found: tuple[torch.Tensor, float] | None) -> None:
        faults.add(batch.faults)
        faults.check()
        before = len(scores.expressions), len(scores.boxes)
        if found is not None:
            with torch.inference_mode():
                score_batch(*found, batch, source, scores, calibration, watch, keep_evidence)
        added = len(scores.expressions) - before[0], len(scores.boxes) - before[1]
        parts.append(Part(*added, batch.cut, batch.partly_unknown, batch.unknown, batch.faults))
        if progress is not None:
            progress(min(len(parts) * processes.count, len(batches)), len(batches))

    overlapped(iter(loader), compute, finish)
    network.train(training)
    if processes.count > 1:
        scores, parts = joined_scores(scores, parts, processes)
        faults = FaultLog(data.fault_limit)
        faults.add(source.faults)
        for part in parts:  # as one process would have met them
            faults.add(part.faults)
            faults.check()
    left_out = tuple(faults.faults)
    cut, partly_unknown = sum(part.cut for part in parts), sum(part.partly_unknown for part in parts)
    unknown = sum(part.unknown for part in parts)
    spelling = {"nearest_spelling": True} if config.nearest_spelling else {}
    told = {**scores.about, **spelling, "calibrated": calibration is not None}
    return replace(scores, about=told, cut=cut, partly_unknown=partly_unknown, unknown=unknown, left_out=left_out)


def no_scores(source: Source, data: DataConfig, config: EvaluateConfig) -> Scores:
    """Empty scores for the wanted protocols, and for `original` at every reported threshold.

    Args:
        source: that is to be scored.
        data: what it was opened by.
        config: threshold and protocol.
    """
    original = replace(ORIGINAL, threshold=config.threshold, region=config.region)
    asked = tuple(
        original if protocol == ORIGINAL else replace(protocol, region=config.region)
        for protocol in chosen_protocols(config.protocol)
    )
    beside = tuple(dict.fromkeys((original, *asked)))
    thresholds = (replace(original, threshold=threshold) for threshold in REPORTED_THRESHOLDS)
    counts = {protocol: MaskCounts() for protocol in (*beside, *thresholds)}
    return Scores(counts, asked[0], beside, [], about(source, data))


def score_batch(
    mask_logits_NHW: torch.Tensor,
    stride: float,
    batch: Batch,
    source: Source,
    scores: Scores,
    calibration: Calibration | None = None,
    watch: Watch | None = None,
    keep_evidence: bool = False,
) -> None:
    """Add one batch's masks to the scores, image by image.

    Args:
        mask_logits_NHW: of the network, float32 on the CPU.
        stride: pixels of the input between the centres of two neighbouring logits.
        batch: what the network read.
        source: that the batch is of.
        scores: are added to in place.
        calibration: of the model's scores.
        watch: see `evaluate`.
        keep_evidence: see `evaluate`.
    """
    limit, region = scores.shown.threshold, scores.shown.region
    for number, (sample, resize, group) in enumerate(zip(batch.samples, batch.resizes, batch.groups, strict=True)):
        logits_nHW = mask_logits_NHW[batch.image_index_N == number]
        boxed_n = np.array([sample.boxed_M[row] for row in sample.mask_index_N], dtype=bool)
        index_n = np.array(sample.mask_index_N)
        if boxed_n.any():
            boxes = [mask_box(draw(sample.masks[row])) for row in index_n[boxed_n]]
            answers = compare_boxes(logits_nHW[torch.from_numpy(boxed_n)], stride, boxes, resize, limit, region)
            scores.boxes.extend(box_scores(sample, group, answers))
            logits_nHW, index_n = logits_nHW[torch.from_numpy(~boxed_n)], index_n[~boxed_n]
        if not len(index_n):
            continue
        said: list[tuple[float, Evidence | None]] = []
        masks: list[NDArray[np.bool_]] = []

        def see(mask_map: MaskMap) -> None:
            evidence = mask_map.evidence(limit, region) if keep_evidence else None
            said.append((mask_map.score(limit, region, calibration), evidence))  # noqa: B023
            if watch is not None:
                masks.append(mask_map.mask(limit, region))  # noqa: B023

        compare(logits_nHW, stride, sample.masks_MHW, index_n, resize, scores.counts, see)
        found = expressions_of(sample, group, source, scores.beside)
        for expression, (score, evidence) in zip(found, said, strict=True):
            scores.expressions.append(expression._replace(score=score, evidence=evidence))
        if watch is not None:
            outlined = np.flatnonzero(~boxed_n).tolist()
            positions = [(group.positions or ())[at] for at in outlined]
            watch(group.image, sample.only(outlined), positions, np.stack(masks))


def box_scores(sample: Sample, group: Group, found: Sequence[tuple[int, int, bool]]) -> Iterator[BoxScore]:
    """What was found of an image's expressions whose referent has a box and no mask.

    Args:
        sample: the image with its expressions.
        group: the image and the positions of its expressions.
        found: intersection, union and whether the box was pointed at, for each such expression in turn.
    """
    every = zip(group.positions or (), sample.mask_index_N, sample.skills, strict=True)
    boxed = [(position, skills) for position, row, skills in every if sample.boxed_M[row]]
    for (position, skills), (intersection, union, pointed) in zip(boxed, found, strict=True):
        yield BoxScore(group.image, position, skills, intersection, union, pointed)


def expressions_of(sample: Sample, group: Group, source: Source, protocols: Sequence[Protocol]) -> Iterator[Expression]:
    """What is known of an image's expressions that are scored by masks, in their order.

    Args:
        sample: the image with its expressions.
        group: the image and the positions of its expressions.
        source: that it is of.
        protocols: that are counted.
    """
    targets = [bool(mask.any()) for mask in sample.masks]
    positions = group.positions or ()
    # A drawn source must draw the scene again to list its referents, so it is asked only if needed.
    asked = any(protocol.sentences == "first" for protocol in protocols)
    firsts = {position for position, *_ in source.expression_groups(group.image)} if asked else set(positions)
    for position, row, skills in zip(positions, sample.mask_index_N, sample.skills, strict=True):
        if not sample.boxed_M[row]:
            yield Expression(group.image, skills, position in firsts, targets[row])


def evaluate_largest(
    source: Source,
    inputs: InputConfig,
    config: EvaluateConfig,
    data: DataConfig,
    progress: Progress | None = None,
) -> Scores:
    """A baseline without language: every expression of an image gets the mask of its largest object.

    A box is compared with the box around that mask, and the pixel that is pointed at is the middle of it.

    Args:
        source: images, expressions and true masks.
        inputs: the size at which some protocols compare.
        config: threshold and protocol.
        data: what the source was opened by; ``images`` bounds it.
        progress: called after each image with its number and how many there are.

    Raises:
        ConfigError: where the source does not know the objects that no expression names.
    """
    if not source.has_every_object:
        raise ConfigError("--floor largest needs a data set with annotations of all objects, and this one has none")
    scores = no_scores(source, data, config)
    groups = [group for batch in evaluation_batches(source, 10**9, data.images) for group in batch]
    faults = FaultLog(data.fault_limit)
    faults.add(source.faults)
    faults.check()
    for number, group in enumerate(groups, start=1):
        try:
            sample = source.read(group.image, group.positions)
        except (DataError, ImageError) as error:
            good, found = find_readable(source, group.image, group.positions or (), error)
            faults.add(found)
            faults.check()
            if not good:
                continue
            group = replace(group, positions=good)
            sample = source.read(group.image, good)
        largest_HW = source.read_largest(group.image)
        truth_NHW = sample.masks_MHW[[row for row in sample.mask_index_N if not sample.boxed_M[row]]]
        largest_NHW: NDArray[np.bool_] = np.broadcast_to(largest_HW, truth_NHW.shape)
        compare_masks(largest_NHW, truth_NHW, inputs.size, scores.counts)
        scores.expressions.extend(expressions_of(sample, group, source, scores.beside))
        answer = mask_box(largest_HW)
        middle = (answer[0] + answer[2]) // 2, (answer[1] + answer[3]) // 2
        boxes = [mask_box(draw(sample.masks[row])) for row in sample.mask_index_N if sample.boxed_M[row]]
        answers = [(*shared_pixels(answer, box), bool(largest_HW.any()) and contains(box, *middle)) for box in boxes]
        scores.boxes.extend(box_scores(sample, group, answers))
        if progress is not None:
            progress(number, len(groups))
    return replace(scores, about={**scores.about, "floor": "largest"}, left_out=tuple(faults.faults))


def about(source: Source, data: DataConfig) -> dict[str, Any]:
    """Facts that a report needs beside the figures."""
    return {
        "dataset": ",".join(dict.fromkeys(name.strip() for name in data.dataset.split(","))),
        "split_by": source.split_by or data.split_by,
        "split": data.split if source.stated_split else "everything",
        "pixels": source.pixels,
        "same_words": data.same_words,
        "mixed": len(source.parts) > 1,
    }
