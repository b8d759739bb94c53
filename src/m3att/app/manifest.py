"""What `m3att predict --manifest` does: one shard of a batch job, and the results once all parts are there."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from m3att.app.console import printable, probe_file, progress_bar
from m3att.errors import ConfigError
from m3att.exported import Exported
from m3att.extras import require
from m3att.jobs.manifest import Manifest
from m3att.jobs.parts import JOB, Parts
from m3att.jobs.results import ERRORS, write_results
from m3att.jobs.run import Tally, Work, run_shard
from m3att.model_folder import CONFIG, GRAPHS, TOKENIZER
from m3att.pretrained import Pretrained
from m3att.segmenter import Segmenter

SECONDS_A_LINE = 30.0
"""Between two lines of progress, where the output is no terminal."""


@dataclass(frozen=True)
class Options:
    """The options of a batch job, as the command line gives them.

    Args:
        manifest: file.
        out: folder.
        model: see `Segmenter.from_pretrained`.
        shard: `I/N`.
        format: of the results, a key of `m3att.jobs.results.WRITERS`.
        image_url: for Label Studio, what stands before each image's path.
        threshold: None for the model's own.
        region: None for the model's own.
        device: see `Segmenter.from_pretrained`.
        dtype: see `Segmenter.from_pretrained`.
        backend: see `Segmenter.from_pretrained`.
        batch_size: images that go through the network at once.
        lines_a_part: lines that a part holds.
        retry: do parts again that hold an error.
    """

    manifest: Path
    out: Path
    model: str = "bundled"
    shard: str = "1/1"
    format: str = "jsonl"
    image_url: str = ""
    threshold: float | None = None
    region: str | None = None
    device: str = "auto"
    dtype: str = "float32"
    backend: str = "auto"
    batch_size: int = 1
    lines_a_part: int = 64
    retry: bool = False


def run_manifest(options: Options) -> int:
    """Run one shard; the shard that finds all parts there writes the results.

    Returns:
        0; or 1 where lines of this shard are bad.

    Raises:
        M3AttError: where nothing can be done: a bad option, model or manifest, or a folder of another job.
    """
    shard, shards = read_shard(options.shard)
    if options.threshold is not None and not 0.0 <= options.threshold < 1.0:
        raise ConfigError(f"--threshold {options.threshold}: give a probability from 0 up to, but not including, 1")
    for option, value in (("--batch-size", options.batch_size), ("--lines-a-part", options.lines_a_part)):
        if value < 1:
            raise ConfigError(f"{option} {value}: give 1 or more")
    if options.image_url and options.format != "label_studio":
        raise ConfigError("--image-url needs --format label_studio")
    if options.format == "parquet":
        require("pyarrow", "tables", "--format parquet")
    manifest = Manifest.open(options.manifest)
    probe_file(options.out / JOB, "--out")
    segmenter = Segmenter.from_pretrained(options.model, options.device, options.dtype, options.backend)
    job = {
        "manifest": options.manifest.name,
        "manifest_sha256": manifest.sha256,
        "lines": manifest.lines,
        "lines_a_part": options.lines_a_part,
        "model": options.model,
        "model_sha256": model_sha256(segmenter.model),
        "threshold": segmenter.threshold if options.threshold is None else options.threshold,
        "region": options.region or segmenter.region,
        "backend": "onnx" if isinstance(segmenter.model, Exported) else "pytorch",
        "dtype": options.dtype,
    }
    parts = Parts(options.out, job)
    work = Work(shard, shards, options.batch_size, options.threshold, options.region, options.retry)
    try:
        with progress_lines(f"shard {shard}/{shards}") as progress:
            tally = run_shard(segmenter, manifest, parts, work, progress)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("what is done is kept; give the same command again to go on") from None
    return finish(parts, tally, options)


def model_sha256(model: Pretrained | Exported) -> str:
    """SHA-256 of all that a model's masks and scores depend on: settings with calibration, words and weights."""
    paths = [model.folder / name for name in (CONFIG, GRAPHS, TOKENIZER)]
    texts = [path.read_bytes() for path in paths if path.is_file()]
    return sha256(b"".join([*texts, model.weights_sha256().encode()])).hexdigest()


def finish(parts: Parts, tally: Tally, options: Options) -> int:
    """Write the results if all parts are there, and say what was done.

    Args:
        parts: of the job.
        tally: of this shard.
        options: of the command.
    """
    out = printable(str(options.out))
    print(f"shard {options.shard}: {tally.lines} lines, {tally.bad} of them bad")
    missing = parts.missing()
    if missing:
        others = "; another process is writing some" if tally.left else ""
        print(f"{out}: {missing} of {parts.count} parts are missing{others}; whoever completes them writes the results")
    else:
        path, errors = write_results(parts, options.format, options.image_url)
        print(f"{out}/{ERRORS}: {errors} errors")
        print(f"{out}/{path.name}")
    return 1 if tally.bad else 0


def read_shard(text: str) -> tuple[int, int]:
    """The numbers of `I/N`.

    Raises:
        ConfigError: if it is none of them.
    """
    match = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise ConfigError(f"--shard {text}: give I/N with I from 1 to N, such as 3/16")
    return int(match[1]), int(match[2])


@contextmanager
def progress_lines(title: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal; elsewhere a line on stderr every half minute, for the logs of batch systems."""
    if sys.stderr.isatty():
        with progress_bar(title) as progress:
            yield progress
        return
    start = last = time.monotonic()
    first: int | None = None  # lines that an earlier run has done would make this one look fast

    def say(done: int, total: int) -> None:
        nonlocal last, first
        now = time.monotonic()
        first = done if first is None else first
        if now - last >= SECONDS_A_LINE:
            last, rate = now, (done - first) / (now - start)
            left = f", {(total - done) / rate / 60:.0f} minutes left" if rate > 0 else ""
            print(f"m3att: {title}: {done} of {total} lines, {rate:.1f} a second{left}", file=sys.stderr, flush=True)

    yield say
