"""What a worker does with a batch of tasks: encodes each image once and answers everything that is asked of it."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from m3att.attention import attend, can_attend
from m3att.data.images import decode_image, decode_size
from m3att.errors import ConfigError, ExpressionError, ImageError, ModelError
from m3att.prediction import Prediction
from m3att.segmenter import Scene, Segmenter
from m3att.serve.cache import BoundedCache, bytes_of
from m3att.serve.limits import Limits
from m3att.serve.tasks import Answer, Task

ENCODED_AT_ONCE = 8
"""Most images that go through the network together."""


class Desk:
    """Loaded models and the images that they have encoded.

    Args:
        models: names that users see, and what `Segmenter.from_pretrained` takes.
        device: see `Segmenter.from_pretrained`.
        backend: see `Segmenter.from_pretrained`.
        limits: of pixels, and of the cache.

    Raises:
        M3AttError: where a model cannot be loaded.
    """

    def __init__(self, models: dict[str, str], device: str, backend: str, limits: Limits) -> None:
        self.segmenters = {
            name: Segmenter.from_pretrained(model, device, backend=backend) for name, model in models.items()
        }
        self.limits = limits
        self.scenes: BoundedCache[tuple[str, str], Scene] = BoundedCache(limits.cache_bytes)
        self.hits = self.misses = 0

    def describe(self) -> list[dict[str, Any]]:
        """What users may know of each model."""
        return [
            {
                "name": name,
                "world": segmenter.world,
                "threshold": segmenter.threshold,
                "word_limit": segmenter.tokenizer.word_limit,
                "attention": can_attend(segmenter.backend),
            }
            for name, segmenter in self.segmenters.items()
        ]

    def answers(self, tasks: Sequence[Task]) -> Iterator[Answer]:
        """Answer each task. Tasks on one image share its encoding, and equal expressions are read once."""
        groups: dict[tuple[str, str], list[Task]] = {}
        for task in tasks:
            groups.setdefault((task.model, task.digest), []).append(task)
        scenes: dict[tuple[str, str], tuple[Scene, bool]] = {}
        new: dict[str, dict[str, NDArray[np.uint8]]] = {}
        for key, group in groups.items():
            scene = self.scenes.get(key)
            if scene is not None:
                scenes[key] = (scene, True)
                self.hits += len(group)
                continue
            try:
                new.setdefault(key[0], {})[key[1]] = self.decode(group[0].content)
            except RefusedImage as refused:
                yield from (Answer(task.number, code=refused.code, message=str(refused)) for task in group)
                continue
            self.misses += 1
            self.hits += len(group) - 1
        for model, images in new.items():
            encoded = self.segmenters[model].encode_many(images.values(), ENCODED_AT_ONCE)
            for digest, scene in zip(images, encoded, strict=True):
                scenes[model, digest] = (scene, False)
                self.scenes.put((model, digest), scene, scene.image.nbytes + bytes_of(scene.features))
        for key, (scene, cached) in scenes.items():
            yield from answer_image(groups[key], scene, cached)

    def decode(self, content: bytes) -> NDArray[np.uint8]:
        """The pixels of an image file, (H, W, 3).

        Raises:
            RefusedImage: where it is no image or has too many pixels.
        """
        try:
            height, width = decode_size(content, "the image")
            if height * width > self.limits.pixels:
                raise RefusedImage(
                    "too_many_pixels",
                    f"the image has {width} x {height} pixels, and at most {self.limits.megapixels:g} megapixels are "
                    "taken; shrink it first",
                )
            return decode_image(content, "the image")
        except ImageError as error:
            raise RefusedImage("not_an_image", str(error)) from error


class RefusedImage(Exception):
    """An image that is not taken.

    Args:
        code: see `Answer`.
        message: one line.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def answer_image(tasks: Sequence[Task], scene: Scene, cached: bool) -> Iterator[Answer]:
    """Answer all tasks on one image.

    Args:
        tasks: on this image, of one model.
        scene: the image, encoded.
        cached: whether it was encoded before.
    """
    height, width = scene.image.shape[:2]
    about = {"width": width, "height": height, "cached": cached}
    turns: dict[float, list[Task]] = {}
    for task in tasks:
        if task.kind == "segment":
            limit = scene.segmenter.threshold if task.threshold is None else task.threshold
            turns.setdefault(limit, []).append(task)
        elif task.kind == "attend":
            yield answer_attention(task, scene, about)
        else:
            yield Answer(task.number, about)
    for threshold, turn in turns.items():
        found = find(scene, turn, threshold)
        for task in turn:
            results = [{key: found[text].get(key) for key in (*RESULT, *task.forms)} for text in task.expressions]
            yield Answer(task.number, {**about, "threshold": threshold, "results": results})


RESULT = ("expression", "error", "score", "area", "box", "unknown_words", "read_as", "words_cut")


def find(scene: Scene, tasks: Sequence[Task], threshold: float) -> dict[str, dict[str, Any]]:
    """Every expression of some tasks on one image, once, with its result for JSON.

    Args:
        scene: the image.
        tasks: with one threshold.
        threshold: probability over which a pixel belongs to a mask.
    """
    found: dict[str, dict[str, Any]] = {}
    readable = []
    forms = {form for task in tasks for form in task.forms}
    for text in dict.fromkeys(text for task in tasks for text in task.expressions):
        try:
            scene.segmenter.check(text)
        except ExpressionError as error:
            found[text] = {"expression": text, "error": str(error), "unknown_words": [], "read_as": {}, "words_cut": 0}
        else:
            readable.append(text)
    # One by one, because the masks of many expressions on a large image would fill the memory.
    for prediction in scene.stream(readable, threshold) if readable else ():
        found[prediction.expression] = result_of(prediction, forms)
    return found


def result_of(prediction: Prediction, forms: set[str]) -> dict[str, Any]:
    """A prediction for JSON, with its mask in some forms."""
    values = prediction.to_dict()
    values["rle"] = values.pop("segmentation") if "rle" in forms else None
    if "polygons" in forms:
        values["polygons"] = [
            {"outer": part.outer.ravel().tolist(), "holes": [hole.ravel().tolist() for hole in part.holes]}
            for part in prediction.polygons
        ]
    if "png" in forms:
        file = BytesIO()
        prediction.mask_picture().convert("1").save(file, format="PNG")
        values["png"] = base64.b64encode(file.getvalue()).decode("ascii")
    return values


def answer_attention(task: Task, scene: Scene, about: dict[str, Any]) -> Answer:
    """Where the words of an expression look, as numbers with four digits.

    Args:
        task: asks it.
        scene: the image.
        about: what every answer says of the image.
    """
    try:
        attention = attend(scene, task.expressions[0], task.layer)
    except (ConfigError, ExpressionError, ModelError) as error:
        return Answer(task.number, code="bad_request", message=str(error))
    left, top, width, height = attention.region
    values = {
        **about,
        "expression": task.expressions[0],
        "words": list(attention.words),
        "layer": attention.layer,
        "layers": attention.layers,
        "rows": attention.lav.shape[1],
        "columns": attention.lav.shape[2],
        "region": {"left": left, "top": top, "width": width, "height": height},
        "lav": [rounded(map_HW) for map_HW in attention.lav],
        "val": [rounded(map_HW) for map_HW in attention.val],
        "padding": rounded(attention.padding),
    }
    return Answer(task.number, values)


def rounded(map_HW: NDArray[np.float32]) -> list[float]:
    """The values of a map row by row, with four digits."""
    return [float(f"{value:.4g}") for value in map_HW.ravel().tolist()]
