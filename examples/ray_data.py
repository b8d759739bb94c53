"""Segments a manifest with Ray Data, on one machine or a cluster.

    pip install 'ray[data]'
    python examples/ray_data.py images.jsonl predictions --model photo

Use it if you have a Ray cluster or if your images come from a Ray pipeline. Otherwise `m3att predict --manifest` needs
no cluster and resumes by itself. Lines that cannot be read give a row with an `error`.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from m3att import Segmenter
from m3att.errors import M3AttError

Columns = dict[str, Any]
"""The columns of a batch of rows, as Ray Data hands them over: arrays or lists of the same length."""

EMPTY = {"expression": "", "score": 0.0, "area": 0, "height": 0, "width": 0, "counts": "", "error": ""}


class Segment:
    """Turns a batch with the columns `image` and `expressions` into a row an expression.

    Ray makes one for each worker, so the model is loaded once a worker. In Spark make one in the function that
    `mapInPandas` calls, and give `pandas.DataFrame(segment(frame))` for each of its frames.

    Args:
        model: see `Segmenter.from_pretrained`.
        device: see `Segmenter.from_pretrained`.
        folder: that the paths of the images start from.
    """

    def __init__(self, model: str = "bundled", device: str = "auto", folder: str = ".") -> None:
        self.segmenter, self.folder = Segmenter.from_pretrained(model, device), Path(folder)

    def __call__(self, batch: Columns) -> Columns:
        """The predictions of a batch; masks are COCO run lengths."""
        rows = [
            row
            for image, expressions in zip(batch["image"], batch["expressions"], strict=True)
            for row in self.rows_of(str(image), [str(text) for text in expressions])
        ]
        return {name: [row[name] for row in rows] for name in ("image", *EMPTY)}

    def rows_of(self, image: str, expressions: list[str]) -> list[dict[str, Any]]:
        """A row an expression, or one row with the error of the line."""
        try:
            found = self.segmenter.encode(self.folder / image).segment(expressions)
        except M3AttError as error:
            return [EMPTY | {"image": image, "error": str(error)}]
        return [
            {
                "image": image,
                "expression": prediction.expression,
                "score": prediction.score,
                "area": prediction.area,
                "height": prediction.mask.shape[0],
                "width": prediction.mask.shape[1],
                "counts": prediction.rle["counts"],
                "error": "",
            }
            for prediction in found
        ]


def main() -> None:
    """Read a manifest, segment it, and write Parquet."""
    parser = argparse.ArgumentParser(description="Segment a manifest with Ray Data.")
    parser.add_argument("manifest", type=Path, help="JSON Lines with image and expressions")
    parser.add_argument("out", type=Path, help="folder for Parquet files")
    parser.add_argument("--model", default="bundled")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--workers", type=int, default=1, help="processes, each with a model")
    parser.add_argument("--gpus", type=float, default=0.0, help="GPUs of each worker")
    given = parser.parse_args()

    import ray

    worker = {"model": given.model, "device": given.device, "folder": str(given.manifest.resolve().parent)}
    rows = ray.data.read_json(str(given.manifest.resolve()), lines=True)
    found = rows.map_batches(
        Segment,
        fn_constructor_kwargs=worker,
        batch_size=16,
        compute=ray.data.ActorPoolStrategy(size=given.workers),
        num_gpus=given.gpus,
    )
    found.write_parquet(str(given.out.resolve()))


if __name__ == "__main__":
    main()
