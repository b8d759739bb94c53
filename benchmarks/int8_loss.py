"""What the 8-bit form of a model loses on real photos: IoU, beside the same graphs in float32.

    python benchmarks/int8_loss.py ROOT PHOTOS [--model photo] [--photos 64] [--json FILE]

It prints the tables of docs/onnx.md.

ROOT is a REFER folder whose photos are at hand: both forms are scored on its expressions, by the same evaluation as
`m3att evaluate`. PHOTOS is a folder of other photos. The ranges of the 8-bit numbers are measured on some of them, as
`m3att export --int8` does. Photos that ROOT holds are not used for that.

Confidence intervals are over photos, which are drawn with replacement 10,000 times. The interval of the loss is
paired: each draw takes the same photos for both forms.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from m3att.app.export import find_photos
from m3att.backends.onnx import OnnxBackend
from m3att.config import DataConfig, InputConfig
from m3att.data.open import open_source
from m3att.data.source import Source
from m3att.engine.evaluate import evaluate
from m3att.engine.scores import Scores
from m3att.export.folder import export_model
from m3att.export.int8 import square_of, to_int8
from m3att.files import replace_file
from m3att.model_folder import ENCODER_GRAPH, HEAD_GRAPH
from m3att.pretrained import Pretrained, load_model

DATASETS = {"refcoco": "RefCOCO", "refcoco+": "RefCOCO+"}
FORMS = ("float32", "int8")
DRAWS = 10_000
ROUNDS = 15  # times that each form encodes one photo for the time


class Answer(NamedTuple):
    """What `evaluate` reads of a network's answer.

    Args:
        mask_logits_NHW: see `m3att.model.network`.
        mask_stride: see `m3att.model.network`.
    """

    mask_logits_NHW: Tensor
    mask_stride: float


class Graphs(nn.Module):
    """The two graphs of an exported model in the place of the network, for `evaluate`.

    Args:
        folder: of the exported model.
        stride: pixels of the input between the centres of two neighbouring mask logits.
    """

    def __init__(self, folder: Path, stride: float) -> None:
        super().__init__()
        self.backend = OnnxBackend(folder / ENCODER_GRAPH, folder / HEAD_GRAPH, stride)

    def forward(self, pixels_BCHW: Tensor, image_index_N: Tensor, word_ids_NL: Tensor, word_mask_NL: Tensor) -> Answer:
        """Mask logits (N, h, w) of expressions about images.

        Args:
            pixels_BCHW: RGB uint8.
            image_index_N: for each expression its image; the expressions of an image stand together, images in order.
            word_ids_NL: ids of the words.
            word_mask_NL: True = a real word.
        """
        found = []
        for number, features in enumerate(self.backend.encode(pixels_BCHW.permute(0, 2, 3, 1).contiguous().numpy())):
            chosen_N = image_index_N == number
            if chosen_N.any():
                words = word_ids_NL[chosen_N].numpy(), word_mask_NL[chosen_N].numpy()
                found.append(torch.from_numpy(self.backend.segment(features, *words)))
        return Answer(torch.cat(found), self.backend.mask_stride)


def main() -> None:
    """Export, score both forms, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", metavar="ROOT")
    parser.add_argument("calibration", metavar="PHOTOS", type=Path)
    parser.add_argument("--model", default="photo")
    parser.add_argument("--photos", type=int, default=64, help="photos for the ranges (default: %(default)s)")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    model = load_model(given.model)
    sources = {
        name: open_source(DataConfig(root=given.root, dataset=name, split="train", pixels="photos"), "train")
        for name in DATASETS
    }
    scored = {number for source in sources.values() for number in photo_numbers(source)}
    photos = spread([path for path in find_photos([given.calibration]) if number_of(path) not in scored], given.photos)
    with TemporaryDirectory() as made:
        folders = {form: Path(made) / form for form in FORMS}
        export_model(given.model, folders["float32"])
        shutil.copytree(folders["float32"], folders["int8"])
        features = to_int8(folders["int8"] / ENCODER_GRAPH, photos, model.config.input)
        graphs = {form: Graphs(folder, model.network.mask_stride) for form, folder in folders.items()}
        seconds = encoding_seconds(graphs, photos[0], model.config.input)
        found: dict[str, Any] = {
            "model": given.model,
            "weights_sha256": model.weights_sha256(),
            "calibration_photos": len(photos),
            "feature_difference": features,
            "encoder": {
                form: {"megabytes": (folder / ENCODER_GRAPH).stat().st_size / 1e6, "seconds": seconds[form]}
                for form, folder in folders.items()
            },
            "scores": {name: compared(graphs, model, source, given.root) for name, source in sources.items()},
        }
    print("\n".join(tables(found)))
    if given.json is not None:
        replace_file(given.json, (json.dumps(found, indent=1) + "\n").encode())


def tables(found: dict[str, Any]) -> Iterator[str]:
    """The lines of the tables in docs/onnx.md, in per cent, megabytes and milliseconds.

    Args:
        found: what is written as JSON.
    """
    yield "| expressions | form | mean IoU | Pr@0.5 | loss of mean IoU, with its 95 % interval |"
    yield "|---|---|---|---|---|"
    for name, title in DATASETS.items():
        scores = found["scores"][name]
        low, high = scores["loss"]["interval"]
        loss = f"{100 * scores['loss']['mean_iou']:.1f} ({100 * low:.1f} to {100 * high:.1f})"
        for form in FORMS:
            figures = f"{100 * scores[form]['mean_iou']:.1f} | {100 * scores[form]['precision']['0.5']:.1f}"
            yield f"| {title} | {form} | {figures} | {loss if form == 'int8' else ''} |"
    yield ""
    yield "| form | image encoder in MB | CPU milliseconds for a photo |"
    yield "|---|---|---|"
    for form in FORMS:
        encoder = found["encoder"][form]
        yield f"| {form} | {encoder['megabytes']:.1f} | {1000 * encoder['seconds']:.0f} |"
    yield ""
    yield f"features differ by {100 * found['feature_difference']:.0f} % on {found['calibration_photos']} photos"


def photo_numbers(source: Source) -> list[int]:
    """COCO's numbers of a source's photos."""
    return [source.read(index).image_id for index in range(len(source))]


def number_of(path: Path) -> int | None:
    """COCO's number of a photo by its file's name, as in ``COCO_train2014_000000000110.jpg``; None without one."""
    last = path.stem.rpartition("_")[2]
    return int(last) if last.isdecimal() else None


def spread(paths: Sequence[Path], count: int) -> list[Path]:
    """At most so many files, evenly spread over all."""
    places = np.linspace(0, len(paths) - 1, min(count, len(paths))).round().astype(int)
    return [paths[place] for place in places]


def encoding_seconds(graphs: dict[str, Graphs], photo: Path, inputs: InputConfig) -> dict[str, float]:
    """CPU seconds in which each form encodes one photo: the median, the forms in turn.

    Args:
        graphs: the forms.
        photo: any.
        inputs: size and resize of the square input.
    """
    square_BHWC = square_of(photo, inputs)[None]
    times: dict[str, list[float]] = {form: [] for form in graphs}
    for _ in range(ROUNDS):
        for form, graph in graphs.items():
            begun = time.process_time()
            graph.backend.encode(square_BHWC)
            times[form].append(time.process_time() - begun)
    return {form: statistics.median(values) for form, values in times.items()}


def compared(graphs: dict[str, Graphs], model: Pretrained, source: Source, root: str) -> dict[str, Any]:
    """The figures of each form on one data set, and what the 8 bits lose, in IoU from 0 to 1.

    Args:
        graphs: the forms.
        model: that they are of; its settings hold for both.
        source: the data set.
        root: its folder.
    """
    data = DataConfig(root=root, split="train", pixels="photos")
    inputs, protocol = model.config.input, model.config.evaluate
    scores: dict[str, Scores] = {}
    for form, graph in graphs.items():
        network: Any = graph
        scores[form] = evaluate(network, model.tokenizer, source, inputs, protocol, data)
    iou = {form: one.iou_N(one.headline) for form, one in scores.items()}
    photo_N = np.array([expression.image for expression in scores["float32"].expressions])
    low, high = interval(iou["float32"] - iou["int8"], photo_N)
    kept = ("expressions", "overall_iou", "mean_iou", "precision")
    return {
        **{form: {name: one.figures()[name] for name in kept} for form, one in scores.items()},
        "loss": {"mean_iou": float((iou["float32"] - iou["int8"]).mean()), "interval": [low, high]},
    }


def interval(value_N: NDArray[np.float64], photo_N: NDArray[np.int64], seed: int = 0) -> tuple[float, float]:
    """The middle 95 per cent of the mean, where whole photos are drawn with replacement.

    Args:
        value_N: of each expression.
        photo_N: the photo of each.
        seed: of the draws.
    """
    photo_N = np.unique(photo_N, return_inverse=True)[1]
    counts_B, sums_B = np.bincount(photo_N), np.bincount(photo_N, weights=value_N)
    drawn_DB = np.random.default_rng(seed).integers(len(counts_B), size=(DRAWS, len(counts_B)))
    means_D = sums_B[drawn_DB].sum(axis=1) / counts_B[drawn_DB].sum(axis=1)
    low, high = np.percentile(means_D, [2.5, 97.5])
    return float(low), float(high)


if __name__ == "__main__":
    main()
