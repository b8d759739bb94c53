"""The Python API: an image and expressions in, masks out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from m3att.data.images import read_image, to_rgb
from m3att.data.masks import encode_rle, mask_box
from m3att.data.transforms import Resize, to_pixels
from m3att.device import choose_device
from m3att.errors import ConfigError, ExpressionError, ImageError
from m3att.model.network import BackboneMaps, EncodedImages
from m3att.overlay import draw_overlay
from m3att.pretrained import Pretrained, load_model

EXPRESSIONS_AT_ONCE = 64
"""Most expressions that the network reads at once."""
PIXELS_AT_ONCE = 2**25
"""Most mask pixels at the image's own size that are held as floats at once (134 MB), unless one mask has more."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """The mask of one expression's referent.

    Args:
        expression: the expression as given.
        mask: bool (H, W) at the image's own size, True = the referent.
        score: mean probability inside the mask, in [0, 1]; 0 if the mask is empty.
        threshold: probability over which a pixel belongs to the mask.
        image: the image, RGB uint8 (H, W, 3); all predictions of a scene share it.
        mask_logits: float32 (h, w), the output of the network over its square input.
        resize: how the image lies in that square.
        mask_stride: pixels of that square between the centres of two neighbouring logits; the first logit begins at
            the upper left corner.
        unknown_words: words that the model does not know; it read each as the unknown word.
        words_cut: number of words beyond the model's word limit, which it did not read.

    Raises:
        ValueError: if the fields do not fit together.
    """

    expression: str
    mask: NDArray[np.bool_] = field(repr=False)
    score: float
    threshold: float
    image: NDArray[np.uint8] = field(repr=False)
    mask_logits: NDArray[np.float32] = field(repr=False)
    resize: Resize = field(repr=False)
    mask_stride: float = field(repr=False)
    unknown_words: tuple[str, ...] = ()
    words_cut: int = 0

    def __post_init__(self) -> None:
        if self.image.ndim != 3 or self.image.shape[2] != 3 or self.image.dtype != np.uint8:
            raise ValueError(f"image is {self.image.dtype} {self.image.shape}, not RGB uint8 (H, W, 3)")
        size = self.image.shape[:2]
        if self.mask.dtype != np.bool_ or self.mask.shape != size:
            raise ValueError(f"mask is {self.mask.dtype} {self.mask.shape}, not bool {size}, the size of the image")
        if (self.resize.height, self.resize.width) != size or self.mask_logits.ndim != 2:
            raise ValueError(f"mask_logits {self.mask_logits.shape} and resize are not of an image of size {size}")
        if min(self.mask_logits.shape) * self.mask_stride < self.resize.size:
            raise ValueError(f"mask_logits {self.mask_logits.shape} of mask_stride {self.mask_stride} are too few")
        if not 0.0 <= self.score <= 1.0 or not 0.0 <= self.threshold < 1.0:
            raise ValueError(f"score {self.score} or threshold {self.threshold} is no probability")
        if self.words_cut < 0:
            raise ValueError(f"words_cut is {self.words_cut}")

    @cached_property
    def area(self) -> int:
        """Pixels of the mask."""
        return int(np.count_nonzero(self.mask))

    @cached_property
    def box(self) -> tuple[int, int, int, int] | None:
        """The smallest box around the mask, XYXY in pixels, lower right corner exclusive; None for an empty mask."""
        return mask_box(self.mask) if self.area else None

    @cached_property
    def rle(self) -> dict[str, Any]:
        """The mask as COCO's compressed run lengths, ready for JSON."""
        return encode_rle(self.mask)

    @property
    def probability(self) -> NDArray[np.float32]:
        """Probability of each pixel, float32 (H, W). It is large, so it is computed at each access and not kept."""
        logits_NHW = torch.from_numpy(self.mask_logits[None])
        probability_HW: NDArray[np.float32] = self.resize.probability(logits_NHW, self.mask_stride)[0].numpy()
        return probability_HW

    def to_dict(self) -> dict[str, Any]:
        """The prediction for JSON: expression, segmentation (COCO RLE), box (XYXY), score, area and notes."""
        return {
            "expression": self.expression,
            "segmentation": self.rle,
            "box": None if self.box is None else list(self.box),
            "score": self.score,
            "area": self.area,
            "unknown_words": list(self.unknown_words),
            "words_cut": self.words_cut,
        }

    def mask_picture(self) -> Image.Image:
        """The mask as a grey picture, 255 = the referent and 0 = the rest, to be saved as PNG.

        Some libraries save a bool array as a picture of 0 and 1, which looks black.
        """
        return Image.fromarray(self.mask.view(np.uint8) * np.uint8(255))

    def overlay(self) -> Image.Image:
        """A picture of the mask on its image, with the expression beneath; see `m3att.overlay.draw_overlay`."""
        share = 100 * self.area / self.mask.size
        note = f"score {self.score:.2f}, {share:.1f} % of the image" if self.area else "nothing found"
        return draw_overlay(self.image, self.mask, self.expression, note)


@dataclass(frozen=True, eq=False)
class Scene:
    """One encoded image, which can be segmented by any number of expressions.

    Args:
        segmenter: the segmenter that encoded it.
        image: RGB uint8 (H, W, 3).
        resize: how the image lies in the network's square input.
        encoded: F_enc, or the maps of the backbone if the network fuses early.
    """

    segmenter: Segmenter
    image: NDArray[np.uint8] = field(repr=False)
    resize: Resize
    encoded: EncodedImages | BackboneMaps = field(repr=False)

    def segment(self, expressions: str | Sequence[str], threshold: float | None = None) -> list[Prediction]:
        """Find the referent of each expression. The expressions do not influence each other.

        Args:
            expressions: a list of expressions, or a single one.
            threshold: probability over which a pixel belongs to the mask. None: the model's own threshold.

        Returns:
            One prediction for each expression, in the same order.

        Raises:
            ExpressionError: if an expression holds no word, or none that the model knows.
            ConfigError: if the threshold is not in [0, 1).
        """
        return list(self.stream(expressions, threshold))

    def stream(self, expressions: str | Sequence[str], threshold: float | None = None) -> Iterator[Prediction]:
        """Like `segment`, but one by one. Use it if the masks of many expressions would fill the memory.

        All expressions are checked before the first prediction.

        Raises:
            ExpressionError, ConfigError: as `segment`.
        """
        texts = [expressions] if isinstance(expressions, str) else list(expressions)
        limit = self.segmenter.threshold if threshold is None else threshold
        if not 0.0 <= limit < 1.0:
            raise ConfigError(f"threshold {limit}: give a probability from 0 up to, but not including, 1")
        checks = [self.segmenter.check(text) for text in texts]
        return self._predict(texts, checks, limit)

    def _predict(self, texts: list[str], checks: list[ExpressionCheck], threshold: float) -> Iterator[Prediction]:
        """Predictions, in turns that limit both the batch of the network and the pixels held as floats."""
        stride = self.segmenter.network.mask_stride
        rows = max(1, PIXELS_AT_ONCE // (self.resize.height * self.resize.width))
        for start in range(0, len(texts), EXPRESSIONS_AT_ONCE):
            turn = texts[start : start + EXPRESSIONS_AT_ONCE]
            logits_NHW = self.segmenter.mask_logits(self.encoded, turn)
            for first in range(0, len(turn), rows):
                # engine.evaluate does the same, so the masks that are scored are the masks that users get.
                probability_NHW = self.resize.probability(logits_NHW[first : first + rows], stride).numpy()
                for number, probability_HW in enumerate(probability_NHW, start=first):
                    mask_HW: NDArray[np.bool_] = probability_HW > threshold
                    inside = probability_HW[mask_HW]
                    yield Prediction(
                        turn[number],
                        mask_HW,
                        float(inside.mean(dtype=np.float64)) if inside.size else 0.0,
                        threshold,
                        self.image,
                        logits_NHW[number].numpy().copy(),  # a view would keep the logits of the whole turn in memory
                        self.resize,
                        stride,
                        checks[start + number].unknown_words,
                        checks[start + number].words_cut,
                    )


@dataclass(frozen=True)
class ExpressionCheck:
    """How well a model can read an expression.

    Args:
        unknown_words: those of the words it reads that it does not know.
        words_cut: number of words beyond its limit.
    """

    unknown_words: tuple[str, ...]
    words_cut: int


class Segmenter:
    """A trained network with its tokenizer and settings. Several threads may share it.

    It remembers nothing between calls. The encoding of an image is kept in its Scene.

    Args:
        pretrained: a loaded model folder; its network is moved to ``device``.
        device: the device on which it runs.
    """

    def __init__(self, pretrained: Pretrained, device: str | torch.device = "cpu") -> None:
        self.pretrained, self.device = pretrained, torch.device(device)
        self.network = pretrained.network.to(self.device).eval()
        self.tokenizer = pretrained.tokenizer

    @classmethod
    def from_pretrained(cls, model: str | Path = "bundled", device: str = "auto") -> Segmenter:
        """Load a model.

        Args:
            model: `bundled`, the name of a bundled model, a folder, or a Hub id (`owner/name`).
            device: `auto` (CUDA if it is available), `cpu`, `cuda`, or any other device of PyTorch.

        Raises:
            ModelError: if there is no such model, or its folder is incomplete or not one of m3att.
            ConfigError: if there is no such device.
        """
        chosen = choose_device(device)
        return cls(load_model(model, chosen), chosen)

    @property
    def threshold(self) -> float:
        """Probability over which a pixel belongs to a mask if a call gives none; the model was scored with it."""
        return self.pretrained.config.evaluate.threshold

    @property
    def world(self) -> str:
        """One line that says what kind of pictures the model knows. Empty if it is meant for photos."""
        return self.pretrained.world

    def encode(self, image: str | Path | Image.Image | NDArray[np.uint8]) -> Scene:
        """Run the vision half of the network, once for all expressions of this image.

        Args:
            image: a file, a Pillow image, or RGB uint8 (H, W, 3), of any size.

        Returns:
            The scene. Its `segment` finds the masks.

        Raises:
            ImageError: if it cannot be read as a picture.
        """
        image_HWC = load_pixels(image)
        inputs = self.pretrained.config.input
        resize = Resize(image_HWC.shape[0], image_HWC.shape[1], inputs.size, inputs.resize)
        pixels_BCHW = to_pixels(resize.image(image_HWC)).unsqueeze(0).to(self.device)
        with torch.inference_mode():
            return Scene(self, image_HWC, resize, self.network.encode(pixels_BCHW))

    def check(self, expression: str) -> ExpressionCheck:
        """Say which words of an expression the model cannot read.

        Raises:
            ExpressionError: if it holds no word, or none that the model knows.
        """
        if not is_text(expression):
            raise ExpressionError(f"expression {shorten(repr(expression))}: not a valid text; give it in UTF-8")
        ids_L = self.tokenizer([expression]).word_ids_NL[0]
        unknown = int((ids_L == self.tokenizer.unknown_id).sum())
        words = self.tokenizer.unknown_words(expression)[:unknown] if unknown else ()
        if unknown == len(ids_L):
            named = shorten(", ".join(shorten(word, 24) for word in words))
            raise ExpressionError(
                f"expression {shorten(repr(expression))}: the model knows none of its words ({named}); "
                "use other words, or a model that was trained on these"
            )
        return ExpressionCheck(words, max(0, self.tokenizer.count_words(expression) - self.tokenizer.word_limit))

    def mask_logits(self, encoded: EncodedImages | BackboneMaps, expressions: Sequence[str]) -> torch.Tensor:
        """Run the language half for N expressions of one image.

        Returns:
            (N, h, w) float32 on the CPU, over the network's square input; their stride is the network's `mask_stride`.
        """
        words = self.tokenizer(expressions)
        index_N = torch.zeros(len(expressions), dtype=torch.int64, device=self.device)
        with torch.inference_mode():
            output = self.network.segment(
                encoded, index_N, words.word_ids_NL.to(self.device), words.word_mask_NL.to(self.device)
            )
            return output.mask_logits_NHW.float().cpu()


def load_pixels(image: str | Path | Image.Image | NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Upright RGB, (H, W, 3), from anything that `Segmenter.encode` accepts. The result is always a new array.

    Raises:
        ImageError: if it cannot be read as a picture.
    """
    if isinstance(image, str | Path):
        return read_image(image)
    if isinstance(image, Image.Image):
        if 0 in image.size:
            raise ImageError(f"the image is empty: {image.width} x {image.height}")
        try:
            return to_rgb(image)
        except (OSError, ValueError, SyntaxError) as error:  # Pillow reads pixels only when they are needed
            raise ImageError(f"the image is damaged or cut short ({error})") from error
    if not isinstance(image, np.ndarray):
        raise ImageError(f"cannot read a {type(image).__name__}: give a file, a Pillow image or a NumPy array")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise ImageError(f"the array is {image.dtype} {image.shape}: give RGB uint8 (H, W, 3) in [0, 255]")
    return image.copy()


def is_text(expression: object) -> bool:
    """Whether this is a string that can be written as UTF-8. Arguments from a shell may not be."""
    if not isinstance(expression, str):
        return False
    try:
        expression.encode()
    except UnicodeEncodeError:
        return False
    return True


def shorten(text: str, longest: int = 60) -> str:
    """The beginning of a text, for a message of one line."""
    return text if len(text) <= longest else text[: longest - 3] + "..."
