"""Runs one shard of a batch job: reads images ahead, finds what each line asks for, and writes parts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from m3att.data.images import read_image
from m3att.device import is_lack_of_memory
from m3att.errors import DataError, ExpressionError, ImageError
from m3att.jobs.manifest import Manifest, Task, read_task
from m3att.jobs.parts import Parts, read_record
from m3att.segmenter import Scene, Segmenter

READERS = 2
"""Threads that read images while the network runs."""

Record = dict[str, Any]
Decision = tuple[float | None, str | None]


@dataclass(frozen=True)
class Work:
    """What a shard does and how.

    Args:
        shard: its number, from 1.
        shards: how many there are.
        batch_size: images that go through the network at once.
        threshold: probability over which a pixel belongs to a mask. None: the model's own.
        region: see `Scene.segment`. None: the model's own.
        retry: do chunks again that hold an error.
    """

    shard: int = 1
    shards: int = 1
    batch_size: int = 1
    threshold: float | None = None
    region: str | None = None
    retry: bool = False


@dataclass
class Tally:
    """What a shard did.

    Args:
        lines: of its chunks, those included that were done before.
        bad: of these, lines with an error.
        left: chunks that another process is writing.
    """

    lines: int = 0
    bad: int = 0
    left: int = 0


def run_shard(
    segmenter: Segmenter,
    manifest: Manifest,
    parts: Parts,
    work: Work,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Tally:
    """Write the parts of a shard that are not there.

    Chunk n belongs to shard n mod N, counted from 0. It does not matter how many shards wrote the parts before.

    Args:
        segmenter: that finds the masks.
        manifest: of the job.
        parts: of the job.
        work: which shard, and how.
        progress: called with lines done and the lines of this shard.
    """
    size = int(parts.job["lines_a_part"])
    own = range(work.shard - 1, parts.count, work.shards)
    total = sum(min(size, manifest.lines - chunk * size) for chunk in own)
    tally = Tally()
    progress(0, total)
    with ThreadPoolExecutor(READERS) as readers:
        for chunk, lines in manifest.chunks(size):
            if chunk not in own:
                continue
            faults = faults_of(parts.path(chunk)) if parts.done(chunk) else None
            if faults is None or (work.retry and faults):
                with parts.claim(chunk, again=work.retry) as file:
                    if file is None:
                        tally.left += not parts.done(chunk)
                    else:
                        faults = 0
                        for number, record in enumerate(answer(segmenter, lines, manifest.path.parent, work, readers)):
                            file.write(json.dumps(record, separators=(",", ":")).encode() + b"\n")
                            faults += has_fault(record)
                            progress(tally.lines + number + 1, total)
            tally.lines += len(lines)
            tally.bad += faults or 0
            progress(tally.lines, total)
    return tally


def faults_of(part: Path) -> int:
    """Lines of a part that have an error.

    Raises:
        DataError: if the part is damaged.
    """
    with part.open("rb") as file:
        return sum(has_fault(read_record(part, line)) for line in file)


def has_fault(record: Record) -> bool:
    """Whether a line, or one of its expressions, is bad."""
    return "error" in record or bool(record.get("errors"))


def answer(
    segmenter: Segmenter, lines: Sequence[tuple[int, bytes]], base: Path, work: Work, readers: ThreadPoolExecutor
) -> Iterator[Record]:
    """The record of each line of a chunk, in order. At most two batches of images are in memory.

    Args:
        segmenter: that finds the masks.
        lines: numbers and bytes.
        base: folder that the images' paths start from.
        work: how.
        readers: read the next batch while the network runs.
    """
    batches = [lines[at : at + work.batch_size] for at in range(0, len(lines), work.batch_size)]

    def read(batch: Sequence[tuple[int, bytes]]) -> list[Future[Entry]]:
        return [readers.submit(read_entry, segmenter, number, line, base) for number, line in batch]

    ahead = read(batches[0])
    for following in [*batches[1:], None]:
        entries = [future.result() for future in ahead]
        ahead = [] if following is None else read(following)
        yield from answer_batch(segmenter, entries, (work.threshold, work.region))


@dataclass
class Entry:
    """A line that has been read.

    Args:
        record: its record, to be completed.
        expressions: those that the model can read.
        image: RGB, (H, W, 3); None if there is nothing to find in it, or it is bad.
    """

    record: Record
    expressions: list[str]
    image: NDArray[np.uint8] | None = None


def read_entry(segmenter: Segmenter, number: int, line: bytes, base: Path) -> Entry:
    """A line with its image. Whatever is wrong with either stands in the record.

    Args:
        segmenter: that knows which words it can read.
        number: of the line, from 1.
        line: its bytes.
        base: folder that the image's path starts from.
    """
    try:
        task = read_task(number, line)
    except DataError as error:
        return Entry({"line": number, "error": str(error)}, [])
    entry = Entry({"line": number, "image": task.image}, [])
    if task.given_id is not None:
        entry.record["id"] = task.given_id
    check_expressions(segmenter, task, entry)
    if entry.expressions:
        try:
            entry.image = read_image(base / task.image)
            entry.record |= {"height": entry.image.shape[0], "width": entry.image.shape[1]}
        except ImageError as error:
            entry.record["error"] = str(error)
            entry.record.pop("errors", None)
    return entry


def check_expressions(segmenter: Segmenter, task: Task, entry: Entry) -> None:
    """Sort a line's expressions into those that the model can read and those with an error.

    Args:
        segmenter: that checks them.
        task: the line.
        entry: receives both.
    """
    errors = []
    for expression in task.expressions:
        try:
            segmenter.check(expression)
        except ExpressionError as error:
            errors.append({"expression": expression, "error": str(error)})
        else:
            entry.expressions.append(expression)
    if errors:
        entry.record["errors"] = errors


def answer_batch(segmenter: Segmenter, entries: Sequence[Entry], decision: Decision) -> Iterator[Record]:
    """The records of a batch, in order.

    Args:
        segmenter: that finds the masks.
        entries: lines with their images, which are given up as soon as they are answered.
        decision: threshold and region of the masks, each None for the model's own.
    """
    images = [entry.image for entry in entries if entry.image is not None]
    try:
        scenes = iter(list(segmenter.encode_many(images, max(1, len(images)))))
    except (MemoryError, RuntimeError) as error:
        if not is_lack_of_memory(error):
            raise
        if len(images) > 1:  # one by one they may fit
            for entry in entries:
                yield from answer_batch(segmenter, [entry], decision)
            return
        scenes = iter(())
        for entry in entries:
            if entry.image is not None:
                entry.image = None
                entry.record["error"] = TOO_LARGE
    for entry in entries:
        if entry.image is not None:
            entry.image = None
            answer_scene(next(scenes), entry, decision)
        yield entry.record


TOO_LARGE = "the image is too large for the memory that is left; shrink it first"


def answer_scene(scene: Scene, entry: Entry, decision: Decision) -> None:
    """Add what was found in an image to its record.

    Args:
        scene: the image, encoded.
        entry: its line.
        decision: threshold and region of the masks, each None for the model's own.
    """
    try:
        entry.record["predictions"] = [found.to_dict() for found in scene.stream(entry.expressions, *decision)]
    except (MemoryError, RuntimeError) as error:
        if not is_lack_of_memory(error):
            raise
        entry.record["error"] = TOO_LARGE
