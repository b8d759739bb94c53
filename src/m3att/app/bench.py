"""`m3att bench`: whether a machine reads fast enough for its network, and what an expression costs on it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from m3att.app.console import JSON_HELP, CommandParser, probe_file, progress_bar, show, write_json
from m3att.app.run_settings import given_settings, note_idle, started_config
from m3att.config import RunConfig
from m3att.settings import SettingsParser, add_settings

_PEERS = ("clipseg", "clipseg-16", "swin-b+bert")


def bench_data(words: Sequence[str], prog: str) -> int:
    """`m3att bench data`."""
    parser = CommandParser(
        prog,
        "Measure how fast one core turns photos into network inputs, beside decoding alone. With --dataset, also "
        "measure how long the data set takes to open, and how much memory its reading processes need.",
    )
    parser.add_argument(
        "root",
        type=Path,
        metavar="ROOT",
        help="a folder with instances.json and images/, or with --dataset the root folder of your data sets",
    )
    parser.add_argument(
        "--dataset", help="data set under ROOT, whose opening is measured too: refcoco, refcoco+, refcocog, refclef ..."
    )
    parser.add_argument("--split-by", help="unc, google, umd or berkeley (default: the data set's usual one)")
    parser.add_argument("--split", default="train", help="which split to open (default: %(default)s)")
    parser.add_argument(
        "--image-root",
        type=Path,
        metavar="DIR",
        help="folder of the photos (default: m3att looks for it near the annotations)",
    )
    parser.add_argument(
        "--workers", type=int, default=8, help="reading processes whose memory is measured (default: %(default)s)"
    )
    parser.add_argument("--size", type=int, default=416, help="side of the input in pixels (default: %(default)s)")
    parser.add_argument(
        "--resize",
        choices=("letterbox", "stretch"),
        default="letterbox",
        help="how the photo fits the square input (default: %(default)s)",
    )
    parser.add_argument("--images", type=int, default=200, help="most photos to read (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help=f"also write the figures to this file{JSON_HELP}")
    given = parser.parse_args(words)
    for option, least in (("size", 8), ("images", 1), ("workers", 0)):
        if getattr(given, option) < least:
            parser.error(f"--{option} must be at least {least}")
    if given.json is not None:
        probe_file(given.json, "--json")

    from m3att.bench.open_cost import measure_opening
    from m3att.bench.read_rate import find_annotated, measure_reading
    from m3att.data.photos import PhotoFolder
    from m3att.data.refer.objects import read_objects
    from m3att.data.refer.tables import find_split_by, open_tables
    from m3att.report.tables import opening_table, reading_table

    values: dict[str, Any] = {}
    if given.dataset is None:
        objects = read_objects(given.root / "instances.json")
        folder = PhotoFolder(given.image_root or given.root / "images", "coco")
        photos = find_annotated(objects, folder, range(len(objects.image_ids)), given.images)
    else:
        split_by = find_split_by(given.root, given.dataset, given.split_by)
        values["opening"] = measure_opening(
            given.root, given.dataset, split_by, given.split, given.workers, given.image_root
        )
        show(opening_table(values["opening"]))
        tables = open_tables(given.root, given.dataset, split_by, given.split)
        found = tables.photos(given.root, given.dataset, given.image_root)
        numbers = tables.image_numbers().tolist()
        photos = [] if found is None else find_annotated(tables.objects, found, numbers, given.images)
    if photos:
        with progress_bar("reading") as progress:
            values["reading"] = measure_reading(photos, given.size, given.resize, progress=progress)
        show(reading_table(values["reading"]))
    else:
        print("no photos found, so reading was not measured")
    if given.json is not None:
        write_json(given.json, values)
    return 0


def bench_speed(words: Sequence[str], prog: str) -> int:
    """`m3att bench speed`."""
    parser = CommandParser(
        prog,
        "Time models side by side on this machine's CPU, from an image to the masks of its expressions. Each round "
        "times every network once. Compare figures of one run only, because the load of a machine changes.",
    )
    parser.add_argument("models", nargs="*", metavar="MODEL", help="bundled model, folder or Hub id")
    parser.add_argument(
        "--preset",
        nargs="+",
        default=[],
        metavar="NAME",
        help="presets whose networks are timed too, with fresh weights, which are as fast as trained ones",
    )
    parser.add_argument(
        "--peer",
        nargs="+",
        default=[],
        choices=_PEERS,
        help="other networks with fresh weights, as the library transformers has them (extra hf): CLIPSeg with "
        "patches of 32 pixels or, as the published weights have them, of 16; or the bare encoders Swin-B at 480 pixels "
        "and BERT",
    )
    parser.add_argument(
        "--expressions",
        nargs="+",
        type=int,
        default=[1, 10],
        metavar="N",
        help="numbers of expressions per image (default: 1 10)",
    )
    parser.add_argument(
        "--backend",
        nargs="+",
        choices=("pytorch", "onnx"),
        default=[],
        help="time each MODEL with these backends (default: the one that Segmenter chooses)",
    )
    parser.add_argument("--image", type=Path, metavar="FILE", help="the image (default: 640 x 480 pixels of noise)")
    parser.add_argument(
        "--dtype",
        choices=("float32", "bfloat16"),
        default="float32",
        help="number type to compute in (default: %(default)s)",
    )
    parser.add_argument("--threads", type=int, metavar="N", help="CPU threads (default: PyTorch's choice)")
    parser.add_argument(
        "--rounds", type=int, default=7, metavar="N", help="how often each network is timed (default: %(default)s)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help=f"also write the figures to this file{JSON_HELP}")
    given = parser.parse_args(words)
    counts = sorted(set(given.expressions))
    if not (given.models or given.preset or given.peer):
        parser.error("name a model, --preset or --peer")
    if counts[0] < 1 or given.rounds < 1 or (given.threads is not None and given.threads < 1):
        parser.error("--expressions, --rounds and --threads must be at least 1")
    if given.json is not None:
        probe_file(given.json, "--json")

    import numpy as np
    import torch

    from m3att.bench.speed import PEERS, Contestant, Ours, kind_of_cpu, measure_speed
    from m3att.data.images import read_image
    from m3att.report.tables import speed_table
    from m3att.segmenter import Segmenter

    if given.threads is not None:
        torch.set_num_threads(given.threads)
        os.environ["OMP_NUM_THREADS"] = str(given.threads)  # read by the backend onnx
    if given.image is None:
        image_HWC = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    else:
        image_HWC = read_image(given.image)
    contestants: dict[str, Contestant] = {}
    for name in given.models:
        for backend in given.backend or ["auto"]:
            title = f"{name}, {backend}" if given.backend else name
            contestants[title] = Ours(Segmenter.from_pretrained(name, "cpu", given.dtype, backend))
    for name in given.preset:
        contestants[f"preset {name}"] = Ours.of_preset(name, given.dtype)
    for name in given.peer:
        contestants[name] = PEERS[name](given.dtype)
    with progress_bar("timing") as progress:
        measured = measure_speed(contestants, image_HWC, counts, given.rounds, progress)
    figures = {"cpu": kind_of_cpu(), "dtype": given.dtype, **measured}
    show(speed_table(figures))
    if given.json is not None:
        write_json(given.json, figures)
    return 0


def bench_train(words: Sequence[str], prog: str) -> int:
    """`m3att bench train`."""
    parser = SettingsParser(
        prog,
        description="Measure a training: how long it waits for data, how much longer its loop takes than the bare work "
        "of its network, and its memory by batch size. Nothing is kept. Wait and overhead should each be below "
        "5 per cent.",
        usage=f"{prog} --preset NAME | --config FILE [--section.field VALUE ...] [--steps N] [--json FILE]",
    )
    parser.add_argument("--preset", type=str, metavar="NAME", help="start from a preset")
    parser.add_argument("--config", type=str, metavar="FILE", help="YAML with any of the settings below")
    parser.add_argument("--steps", type=int, default=20, metavar="N", help="steps that are counted (default: 20)")
    parser.add_argument(
        "--batch-sizes",
        type=int,
        nargs="*",
        metavar="N",
        help="batch sizes whose memory is measured (default: half, one and two times train.batch_size)",
    )
    parser.add_argument("--json", type=str, metavar="FILE", help=f"also write the figures to this file{JSON_HELP}")
    add_settings(parser, RunConfig)
    given = parser.parse_args(words, defaults=False).as_dict()
    options = {field.name: given[field.name] for field in fields(RunConfig) if field.name in given}
    steps = given.get("steps", 20)
    if steps < 2 or any(size < 1 for size in given.get("batch_sizes") or ()):
        parser.error("--steps must be at least 2, and each of --batch-sizes at least 1")
    if given.get("json"):
        probe_file(Path(given["json"]), "--json")
    config = started_config(given, options)
    note_idle(config, given_settings(given, options))

    from m3att.bench.training import measure_memory, measure_training, planned
    from m3att.report.tables import plain_table

    plan = planned(config, steps)
    for note in plan.notes:
        print(f"note: {note}")
    with progress_bar("steps") as progress:
        found = measure_training(plan, progress)
    size = config.train.batch_size
    sizes = given.get("batch_sizes")
    sizes = sorted({max(1, size // 2), size, 2 * size}) if sizes is None else sizes
    # Only the batch size of the measured run: its micro-batches would hide what a batch needs.
    whole = replace(plan.config, train=replace(plan.config.train, accumulate=1))
    found = {**found, "preset": given.get("preset"), "memory": measure_memory(whole, sizes)}
    rows = [
        ("expressions a step", f"{found['expressions']:.1f} on {found['images']:.1f} images"),
        (f"seconds a step ({found['clock']})", f"{found['step_seconds']:.3f}"),
        ("of these bare", f"{found['bare_seconds']:.3f}"),
        ("overhead of the loop", f"{100 * found['overhead']:.1f} %"),
        (f"waiting for data ({found['workers']} workers)", f"{100 * found['wait_share']:.1f} %"),
        ("expressions a second", f"{found['expressions_per_second']:.1f}"),
    ]
    for row in found["memory"]:
        gigabytes = "unknown" if row["peak_bytes"] is None else f"{row['peak_bytes'] / 2**30:.2f} GiB"
        rows.append((f"memory, {row['expressions']} expressions on {row['images']} images", gigabytes))
    show(plain_table(("figure", "value"), rows))
    if given.get("json"):
        write_json(Path(given["json"]), found)
    return 0
