"""The Python API: an image and expressions in, masks out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from m3att.backends import Backend
from m3att.data.spelling import SpellingTokenizer
from m3att.data.transforms import Resize
from m3att.errors import ConfigError, ExpressionError, ModelError
from m3att.exported import Exported, load_exported
from m3att.inputs import Picture, is_text, load_pixels, shorten
from m3att.mask_map import mask_maps
from m3att.model_folder import WEIGHTS, find_model, has_graphs
from m3att.prediction import Prediction, Predictions
from m3att.regions import REGIONS

if TYPE_CHECKING:  # the ONNX form of a model runs without PyTorch
    import torch

    from m3att.model.network import M3AttNet
    from m3att.pretrained import Pretrained

BACKENDS = ("auto", "onnx", "pytorch")
EXPRESSIONS_AT_ONCE = 64  # most that the network reads at once


@dataclass(frozen=True, eq=False)
class Scene:
    """One encoded image, which can be segmented by any number of expressions.

    Args:
        segmenter: the segmenter that encoded it.
        image: RGB uint8 (H, W, 3).
        resize: how the image lies in the network's square input.
        features: of the image, as the segmenter's backend made them.
    """

    segmenter: Segmenter
    image: NDArray[np.uint8] = field(repr=False)
    resize: Resize
    features: Any = field(repr=False)

    def segment(
        self, expressions: str | Sequence[str], threshold: float | None = None, region: str | None = None
    ) -> Predictions:
        """Find the referent of each expression. The expressions do not influence each other.

        Args:
            expressions: a list of expressions, or a single one.
            threshold: probability over which a pixel belongs to the mask. None: the model's own threshold.
            region: see `EvaluateConfig.region`. None: the model's own.

        Returns:
            One prediction for each expression, in the same order; a list that COCO, pandas and supervision can have.

        Raises:
            ExpressionError: if an expression holds no word, or none that the model knows.
            ConfigError: if the threshold is not in [0, 1), or the region is none.
        """
        return Predictions(self.stream(expressions, threshold, region))

    def stream(
        self, expressions: str | Sequence[str], threshold: float | None = None, region: str | None = None
    ) -> Iterator[Prediction]:
        """Like `segment`, but one by one. Use it if the masks of many expressions would fill the memory.

        All expressions are checked before the first prediction.

        Args:
            expressions: see `segment`.
            threshold: see `segment`.
            region: see `segment`.

        Raises:
            ExpressionError, ConfigError: as `segment`.
        """
        texts = [expressions] if isinstance(expressions, str) else list(expressions)
        limit = self.segmenter.threshold if threshold is None else threshold
        if not 0.0 <= limit < 1.0:
            raise ConfigError(f"threshold {limit}: give a probability from 0 up to, but not including, 1")
        region = region or self.segmenter.region
        if region not in REGIONS:
            raise ConfigError(f"region {region!r}: give {' or '.join(REGIONS)}")
        checks = [self.segmenter.check(text) for text in texts]
        return self._predict(texts, checks, limit, region)

    def _predict(
        self, texts: list[str], checks: list[ExpressionCheck], threshold: float, region: str
    ) -> Iterator[Prediction]:
        """Predictions, in turns that limit the batch of the network. One map of the image's size exists at a time."""
        stride = self.segmenter.backend.mask_stride
        for start in range(0, len(texts), EXPRESSIONS_AT_ONCE):
            turn = texts[start : start + EXPRESSIONS_AT_ONCE]
            logits_NHW = self.segmenter.mask_logits(self.features, turn)
            # As in engine.compare: the masks that are scored are the masks that users get.
            for number, mask_map in enumerate(mask_maps(logits_NHW, self.resize, stride)):
                yield Prediction(
                    turn[number],
                    mask_map.mask(threshold, region),
                    mask_map.score(threshold, region, self.segmenter.model.calibration),
                    threshold,
                    self.image,
                    logits_NHW[number].copy(),  # a view would keep the logits of the whole turn in memory
                    self.resize,
                    stride,
                    checks[start + number].unknown_words,
                    checks[start + number].words_cut,
                    checks[start + number].read_as,
                )


@dataclass(frozen=True)
class ExpressionCheck:
    """How well a model can read an expression.

    Args:
        unknown_words: those of the words it reads that it does not know, nor a spelling near them.
        words_cut: number of words beyond its limit.
        read_as: words that it reads as their nearest known spelling, each with that spelling.
    """

    unknown_words: tuple[str, ...]
    words_cut: int
    read_as: tuple[tuple[str, str], ...] = ()


class Segmenter:
    """A trained network with its tokenizer and settings. Several threads may share it.

    It remembers nothing of an image between calls. The encoding of an image is kept in its Scene. A word that the model
    does not know is read as its nearest known spelling, and the prediction names it.

    Args:
        model: a loaded model folder, whose network is moved to ``device``, or an exported model.
        device: the device on which it runs; for an exported model the CPU.
        dtype: `float32`, or `bfloat16` or `float16` for faster and slightly different sums (autocast).

    Raises:
        ConfigError: if there is no such type, or not in an exported model.
        ModelError: if the graphs of an exported model cannot be run.
    """

    def __init__(
        self, model: Pretrained | Exported, device: str | torch.device = "cpu", dtype: str = "float32"
    ) -> None:
        self.model, self.tokenizer = model, SpellingTokenizer(model.tokenizer)
        self.backend: Backend
        if isinstance(model, Exported):
            from m3att.backends.onnx import OnnxBackend, check_device

            check_device(str(device), dtype)
            self.device: Any = "cpu"
            self.backend = OnnxBackend(model.encoder, model.head, model.mask_stride)
        else:
            import torch

            from m3att.backends.pytorch import TorchBackend

            self.device = torch.device(device)
            self.backend = TorchBackend(model.network.to(self.device).eval(), self.device, dtype)

    @classmethod
    def from_pretrained(
        cls, model: str | Path = "bundled", device: str = "auto", dtype: str = "float32", backend: str = "auto"
    ) -> Segmenter:
        """Load a model.

        Args:
            model: `bundled`, the name of a bundled model, a folder, or a Hub id (`owner/name`).
            device: `auto` (CUDA if it is available), `cpu`, `cuda`, or any other device of PyTorch.
            dtype: `float32`, `bfloat16` or `float16`. See Segmenter.
            backend: `pytorch`; `onnx`, which runs the model's ONNX form on the CPU and loads no PyTorch; or `auto`:
                `onnx` for a folder that holds nothing else, otherwise `pytorch`.

        Raises:
            ModelError: if there is no such model, or its folder is incomplete or not one of m3att.
            ConfigError: if there is no such device, type or backend.
        """
        if backend not in BACKENDS:
            raise ConfigError(f"backend {backend!r}: give {', '.join(BACKENDS)}")
        if backend == "auto" and has_graphs(model) and not (find_model(str(model)) / WEIGHTS).is_file():
            backend = "onnx"
        if backend == "onnx":
            return cls(load_exported(model), device, dtype)
        from m3att.device import choose_device
        from m3att.pretrained import load_model

        chosen = choose_device(device)
        return cls(load_model(model, chosen), chosen, dtype)

    @property
    def pretrained(self) -> Pretrained:
        """The loaded model folder.

        Raises:
            ModelError: for an exported model, which has neither the network nor its settings.
        """
        if isinstance(self.model, Exported):
            raise ModelError(f"{self.model.name}: is the ONNX form of a model; for this, load it with PyTorch")
        return self.model

    @property
    def network(self) -> M3AttNet:
        """The network itself, in evaluation mode; see `pretrained`."""
        return self.pretrained.network

    @property
    def threshold(self) -> float:
        """Probability over which a pixel belongs to a mask if a call gives none; the model was scored with it."""
        return self.model.threshold

    @property
    def region(self) -> str:
        """What of the pixels over the threshold is the mask if a call does not say; see `EvaluateConfig.region`."""
        return self.model.region

    @property
    def world(self) -> str:
        """One line that says what kind of pictures the model knows. Empty if it is meant for photos."""
        return self.model.world

    def encode(self, image: Picture) -> Scene:
        """Run the vision half of the network, once for all expressions of this image.

        Args:
            image: a file, the bytes of one, a Pillow image, RGB uint8 (H, W, 3), or a tensor (3, H, W), of any size.

        Returns:
            The scene. Its `segment` finds the masks.

        Raises:
            ImageError: if it cannot be read as a picture.
        """
        (scene,) = self._encode([load_pixels(image)])
        return scene

    def encode_many(self, images: Iterable[Picture], batch_size: int = 8) -> Iterator[Scene]:
        """Like `encode` for many images, of any sizes, several at once through the network.

        Images are taken and scenes given batch by batch, so any number of images needs the memory of one batch.

        Args:
            images: as `encode` takes them.
            batch_size: most images at once.

        Raises:
            ImageError: if one cannot be read as a picture.
            ConfigError: if the batch size is below 1.
        """
        if batch_size < 1:
            raise ConfigError(f"batch_size {batch_size}: give 1 or more")
        return self._encode_batches(iter(images), batch_size)

    def _encode_batches(self, images: Iterator[Picture], batch_size: int) -> Iterator[Scene]:
        while batch := [load_pixels(image) for image in islice(images, batch_size)]:
            yield from self._encode(batch)

    def _encode(self, images: Sequence[NDArray[np.uint8]]) -> list[Scene]:
        """The scenes of a batch, each image (H, W, 3) of its own size."""
        inputs = self.model.inputs
        resizes = [Resize(image.shape[0], image.shape[1], inputs.size, inputs.resize) for image in images]
        squares_BHWC = np.stack([resize.image(image) for resize, image in zip(resizes, images, strict=True)])
        features = self.backend.encode(squares_BHWC)
        return [Scene(self, *parts) for parts in zip(images, resizes, features, strict=True)]

    def save_pretrained(
        self, folder: str | Path, scores: Sequence[str | Path] = (), license: str | None = None
    ) -> None:
        """Write the model as a folder that `from_pretrained` reads, with a model card.

        Args:
            folder: made where it is missing.
            scores: files that `m3att evaluate --json` wrote about this model; the card shows their figures.
            license: of the weights. See `m3att.hub.save_pretrained`.

        Raises:
            DataError: if a file of scores cannot be read, or is of other weights.
            ModelError: if the folder cannot be written.
        """
        from m3att.hub import save_pretrained

        save_pretrained(self.pretrained, Path(folder), [Path(path) for path in scores], license)

    def push_to_hub(
        self,
        repository: str,
        scores: Sequence[str | Path] = (),
        license: str | None = None,
        private: bool = False,
        token: str | None = None,
        message: str = "Upload a model of m3att",
    ) -> str:
        """Upload the model and its card to the Hugging Face Hub. See `m3att.hub.push_to_hub`.

        Returns:
            The address of the commit. `from_pretrained` takes the repository.
        """
        from m3att.hub import push_to_hub

        files = [Path(path) for path in scores]
        return push_to_hub(self.pretrained, repository, files, license, private, token, message)

    def check(self, expression: str) -> ExpressionCheck:
        """Say which words of an expression the model cannot read.

        Raises:
            ExpressionError: if it holds no word, or none that the model knows.
        """
        if not is_text(expression):
            raise ExpressionError(f"expression {shorten(repr(expression))}: not a valid text; give it in UTF-8")
        ids_L = self.tokenizer.arrays([expression]).word_ids_NL[0]
        unknown = int((ids_L == self.tokenizer.unknown_id).sum())
        respelled = self.tokenizer.respell(expression)
        words = self.tokenizer.unknown_words(respelled.text)[:unknown] if unknown else ()
        if unknown == len(ids_L):
            named = shorten(", ".join(shorten(word, 24) for word in words))
            raise ExpressionError(
                f"expression {shorten(repr(expression))}: the model knows none of its words ({named}); "
                "use other words, or a model that was trained on these"
            )
        cut = max(0, self.tokenizer.count_words(expression) - self.tokenizer.word_limit)
        return ExpressionCheck(words, cut, respelled.read_as)

    def mask_logits(self, features: Any, expressions: Sequence[str]) -> NDArray[np.float32]:
        """Run the language half for N expressions of one image.

        Returns:
            (N, h, w), over the network's square input; their stride is the backend's `mask_stride`.
        """
        words = self.tokenizer.arrays(expressions)
        return self.backend.segment(features, words.word_ids_NL, words.word_mask_NL)
