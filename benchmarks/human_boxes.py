"""How well a model finds what people describe in hard, relational expressions, where the truth is a box.

    python benchmarks/human_boxes.py PHOTOS [--model photo] [--json FILE]

PHOTOS holds `human-boxes.jsonl` (expressions, each with a box) and `boxes.jsonl` (all annotated boxes of the same
photos). Both are written as one COCO json, which `m3att evaluate` reads too, and scored. Two answers without language
stand beside the model: the largest annotated box of the photo, and the photo as a whole, whose likeliest pixel is its
centre. Intervals are over photos, see `photo_scores.py`.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from m3att.config import DataConfig, EvaluateConfig, InputConfig
from m3att.data.open import open_source
from m3att.data.own.source import CustomSource
from m3att.data.sample import Sample
from m3att.data.source import Source
from m3att.engine.evaluate import evaluate, evaluate_largest
from m3att.metrics import BoxScore, box_figures
from m3att.pretrained import load_model

DRAWS = 10_000
FIGURES = ("mean_box_iou", "box_iou_over_0.5", "pointing_accuracy")


def main() -> None:
    """Reads the arguments, scores, prints, and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, metavar="PHOTOS")
    parser.add_argument("--model", default="photo")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rows, known = (
        [json.loads(line) for line in (arguments.photos / name).read_text(encoding="utf-8").splitlines()]
        for name in ("human-boxes.jsonl", "boxes.jsonl")
    )
    content = coco_of(rows, known)
    model = load_model(arguments.model)
    inputs, settings = model.config.input, model.config.evaluate
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "human.json"
        file.write_text(json.dumps(content), encoding="utf-8")
        blind = model.config.data.same_words  # a blind network stays blind
        data = DataConfig(
            root=str(file), dataset="coco", split="val", image_root=str(arguments.photos), same_words=blind
        )
        source = open_source(data, data.split)
        assert isinstance(source, CustomSource)
        scored = evaluate(model.network, model.tokenizer, source, inputs, settings, data)
        boxes = {
            arguments.model: scored.boxes,
            "largest box": evaluate_largest(source, inputs, settings, data).boxes,
            "centre of the photo": whole_photos(source, inputs, settings, data),
        }
    found = {name: {**box_figures(own), "intervals": intervals(own)} for name, own in boxes.items()}
    for name, figures in found.items():
        print(f"{name}: {figures['expressions']} expressions")
        for figure, (low, high) in figures["intervals"].items():
            print(f"  {figure} {100 * figures[figure]:.1f} [{100 * low:.1f}, {100 * high:.1f}]")
    if arguments.json is not None:
        about = {
            "model": arguments.model,
            "weights_sha256": model.weights_sha256(),
            "threshold": scored.shown.threshold,
            "images": len(source),
            "by_kind": by_kind(boxes[arguments.model], source, rows),
        }
        arguments.json.write_text(json.dumps({**about, "answers": found}, indent=1) + "\n", encoding="utf-8")


def coco_of(rows: Sequence[Mapping[str, Any]], known: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A COCO json of the photos that the rows are of, with every annotated box and one more for each expression.

    Args:
        rows: of `human-boxes.jsonl`.
        known: of `boxes.jsonl`.
    """
    wanted = {row["image"] for row in rows}
    photos = sorted((photo for photo in known if photo["image"] in wanted), key=lambda photo: str(photo["image"]))
    number = {photo["image"]: at for at, photo in enumerate(photos, start=1)}
    objects: list[dict[str, Any]] = [
        {"image_id": number[photo["image"]], "category_id": category, "bbox": box}
        for photo in photos
        for category, *box in photo["boxes"]
    ]
    objects += [
        {"image_id": number[row["image"]], "category_id": 0, "bbox": row["box"], "expressions": [row["expression"]]}
        for row in sorted(rows, key=lambda row: str(row["image"]))
    ]
    categories = sorted({one["category_id"] for one in objects})
    return {
        "images": [
            {"id": number[photo["image"]], "file_name": photo["image"], **{s: photo[s] for s in ("width", "height")}}
            for photo in photos
        ],
        "annotations": [{"id": at, "iscrowd": 0, **one} for at, one in enumerate(objects, start=1)],
        "categories": [{"id": id_, "name": f"category {id_}"} for id_ in categories],
    }


class WholePhotos(Source):
    """A source in which the largest object of each photo is the photo itself.

    Args:
        source: photos with expressions.
    """

    pixels = "photos"
    has_every_object = True

    def __init__(self, source: Source) -> None:
        self.source = source

    def __len__(self) -> int:
        return len(self.source)

    def expression_groups(self, index: int) -> tuple[tuple[int, ...], ...]:
        """See Source."""
        return self.source.expression_groups(index)

    def read(self, index: int, expressions: Sequence[int] | None = None) -> Sample:
        """See Source."""
        return self.source.read(index, expressions)

    def texts(self) -> Iterator[str]:
        """See Source."""
        return self.source.texts()

    def read_largest(self, index: int) -> NDArray[np.bool_]:
        """All pixels of photo ``index``."""
        return np.ones(self.read(index).image_HWC.shape[:2], dtype=np.bool_)


def whole_photos(source: Source, inputs: InputConfig, settings: EvaluateConfig, data: DataConfig) -> list[BoxScore]:
    """The scores of always answering with the whole photo and its centre."""
    return evaluate_largest(WholePhotos(source), inputs, settings, data).boxes


def by_kind(
    boxes: Sequence[BoxScore], source: CustomSource, rows: Sequence[Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """The figures by what an expression uses: place, attribute, action, exclusion.

    Args:
        boxes: of one evaluation.
        source: that was scored.
        rows: of `human-boxes.jsonl`.
    """
    kinds = {(row["image"], row["expression"]): row["tags"]["type"] for row in rows}
    found: dict[str, list[BoxScore]] = {}
    for box in boxes:
        (text,) = source.read(box.image, (box.position,)).expressions
        for kind in kinds[source.image_name(box.image), text]:
            found.setdefault(kind, []).append(box)
    return {kind: box_figures(own) for kind, own in sorted(found.items())}


def intervals(boxes: Sequence[BoxScore], seed: int = 0) -> dict[str, tuple[float, float]]:
    """The ends of the middle 95 per cent of each figure, where whole photos are drawn with replacement.

    Args:
        boxes: of one evaluation.
        seed: of the draws.
    """
    photo_N = np.unique([box.image for box in boxes], return_inverse=True)[1]
    counts_B = np.bincount(photo_N)
    drawn_DB = np.random.default_rng(seed).integers(len(counts_B), size=(DRAWS, len(counts_B)))
    found: dict[str, tuple[float, float]] = {}
    for name in FIGURES:
        value_N = [box_figures([box])[name] for box in boxes]
        sums_B = np.bincount(photo_N, weights=value_N)
        low, high = np.percentile(sums_B[drawn_DB].sum(axis=1) / counts_B[drawn_DB].sum(axis=1), [2.5, 97.5])
        found[name] = (float(low), float(high))
    return found


if __name__ == "__main__":
    main()
