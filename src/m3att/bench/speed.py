"""Measures what an expression costs: seconds for some expressions on one image, of ours and of others, side by side."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from m3att.model.architectures import require_transformers
from m3att.model.build import build_network
from m3att.presets import find_preset
from m3att.pretrained import Pretrained
from m3att.segmenter import Segmenter
from m3att.weights.start import start_tokenizer

WORDS = ["the", "large", "red", "car", "on", "the", "left", "of", "a", "man", "in", "blue"]
LONGEST = 8  # words of an expression; RefCOCO's have 3.6, RefCOCOg's 8.4
CLIPSEG_SIDE, CLIPSEG_WORDS = 352, 10  # pixels, and tokens with the two that frame them
CLIPSEG_MEAN = np.array((0.485, 0.456, 0.406), dtype=np.float32)
CLIPSEG_STD = np.array((0.229, 0.224, 0.225), dtype=np.float32)
ENCODERS_SIDE, BERT_WORDS, BERT_END = 480, 10, 102


class Contestant(Protocol):
    """Something that segments an image, and is timed."""

    def segment(self, image_HWC: NDArray[np.uint8], texts: Sequence[str]) -> object:
        """Everything from the pixels of an image to a mask at its own size for each expression."""


class Ours:
    """A network of this project, through the Python API.

    Args:
        segmenter: the network.
    """

    def __init__(self, segmenter: Segmenter) -> None:
        self.segmenter = segmenter

    @classmethod
    def of_preset(cls, name: str, dtype: str) -> Ours:
        """The network of a preset with fresh weights; time does not depend on their values.

        Raises:
            ConfigError: where there is no such preset, or an encoder needs an extra that is missing.
        """
        config = find_preset(name).config
        tokenizer = start_tokenizer(config.model, lambda: [" ".join(WORDS)] * 2)
        network = build_network(config.model, config.input.size, tokenizer.size).eval()
        return cls(Segmenter(Pretrained(network, tokenizer, config, "", name, Path()), "cpu", dtype))

    def segment(self, image_HWC: NDArray[np.uint8], texts: Sequence[str]) -> object:
        """See Contestant."""
        return self.segmenter.encode(image_HWC).segment(texts)


class ClipSeg:
    """CLIPSeg as transformers has it, with fresh weights: image and expression go in together.

    Args:
        dtype: `float32` or `bfloat16`.
        patch: side of the squares that its transformer sees, pixels. transformers has 32 where nothing is said. The
            published weights have 16, so four times as many squares.
    """

    def __init__(self, dtype: str, patch: int = 32) -> None:
        library = require_transformers()
        config = library.CLIPSegConfig(vision_config={"patch_size": patch})
        self.network = library.CLIPSegForImageSegmentation(config).eval()
        self.dtype = dtype

    def segment(self, image_HWC: NDArray[np.uint8], texts: Sequence[str]) -> object:
        """See Contestant. Each expression passes with a copy of the image, as CLIPSeg's own processor makes it."""
        side = (CLIPSEG_SIDE, CLIPSEG_SIDE)
        square_HWC = cv2.resize(image_HWC, side, interpolation=cv2.INTER_CUBIC).astype(np.float32) / 255
        normal_HWC = (square_HWC - CLIPSEG_MEAN) / CLIPSEG_STD
        pixels_BCHW = torch.from_numpy(normal_HWC).permute(2, 0, 1).unsqueeze(0).repeat(len(texts), 1, 1, 1)
        ids_NL = token_ids(len(texts), CLIPSEG_WORDS, self.network.config.text_config.eos_token_id)
        with torch.inference_mode(), lower_precision(self.dtype):
            output = self.network(
                pixel_values=pixels_BCHW, input_ids=ids_NL, attention_mask=torch.ones_like(ids_NL), return_dict=True
            )
            logits_NHW = output.logits.float().reshape(len(texts), 1, *side)
        masks_N1HW = functional.interpolate(logits_NHW, image_HWC.shape[:2], mode="bilinear").sigmoid() > 0.5
        return masks_N1HW.numpy()


class BareEncoders:
    """Swin-B at 480 pixels and BERT of transformers, with fresh weights: what every network over them pays at least.

    Args:
        dtype: `float32` or `bfloat16`.
    """

    def __init__(self, dtype: str) -> None:
        library = require_transformers()
        swin = library.SwinConfig(
            image_size=ENCODERS_SIDE, embed_dim=128, depths=[2, 2, 18, 2], num_heads=[4, 8, 16, 32], window_size=12
        )
        self.vision = library.SwinModel(swin, add_pooling_layer=False).eval()
        self.language = library.BertModel(library.BertConfig(), add_pooling_layer=False).eval()
        self.dtype = dtype

    def segment(self, image_HWC: NDArray[np.uint8], texts: Sequence[str]) -> object:
        """See Contestant; there are no masks."""
        side = (ENCODERS_SIDE, ENCODERS_SIDE)
        square_HWC = cv2.resize(image_HWC, side, interpolation=cv2.INTER_LINEAR).astype(np.float32) / 255
        pixels_BCHW = torch.from_numpy(square_HWC).permute(2, 0, 1).unsqueeze(0)
        ids_NL = token_ids(len(texts), BERT_WORDS, BERT_END)
        with torch.inference_mode(), lower_precision(self.dtype):
            return self.vision(pixels_BCHW).last_hidden_state, self.language(ids_NL).last_hidden_state


PEERS: dict[str, Callable[[str], Contestant]] = {
    "clipseg": ClipSeg,
    "clipseg-16": partial(ClipSeg, patch=16),
    "swin-b+bert": BareEncoders,
}
"""Other networks by name; each is made of the type of its sums."""


def token_ids(count: int, words: int, end: int) -> torch.Tensor:
    """Ids of some tokens, (count, words), the same each time.

    Args:
        count: of texts.
        words: tokens of a text.
        end: id of its last token, which ends it.
    """
    ids_NL = torch.randint(1000, 20000, (count, words), generator=torch.Generator().manual_seed(0))
    ids_NL[:, -1] = end
    return ids_NL


def kind_of_cpu() -> str:
    """The widest instructions that PyTorch uses on this CPU, such as `AVX2` or `AVX512, AMX` (Intel's for bfloat16)."""
    kind: str = torch.backends.cpu.get_cpu_capability()
    return kind + (", AMX" if torch.cpu._is_amx_tile_supported() else "")


def lower_precision(dtype: str) -> AbstractContextManager[Any]:
    """Autocast to bfloat16, or nothing where sums are float32."""
    return torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bfloat16")


def measure_speed(
    contestants: Mapping[str, Contestant],
    image_HWC: NDArray[np.uint8],
    counts: Sequence[int],
    rounds: int,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Time all contestants in turn, round after round, so that other work on the machine strikes all of them.

    Args:
        contestants: by name.
        image_HWC: RGB uint8.
        counts: how many expressions on the image, rising.
        rounds: how often each is timed, after one round that does not count.
        progress: called with the number of rounds done and of all.

    Returns:
        For each contestant and count the shortest and the median time in seconds, and the cost of a further expression:
        the median over the rounds of the difference between the largest and the smallest count.
    """
    times: dict[str, dict[int, list[float]]] = {name: {count: [] for count in counts} for name in contestants}
    for number in range(rounds + 1):
        for name, contestant in contestants.items():
            for count in counts:
                texts = list(expressions(count))
                begun = time.perf_counter()
                contestant.segment(image_HWC, texts)
                if number > 0:
                    times[name][count].append(time.perf_counter() - begun)
        if progress is not None:
            progress(number, rounds)
    height, width = image_HWC.shape[:2]
    return {
        "image": [height, width],
        "threads": torch.get_num_threads(),
        "rounds": rounds,
        "contestants": {name: _figures(found) for name, found in times.items()},
    }


def _figures(found: Mapping[int, Sequence[float]]) -> dict[str, Any]:
    seconds = {str(count): {"least": min(ones), "median": statistics.median(ones)} for count, ones in found.items()}
    least, most = min(found), max(found)
    if least == most:
        return {"seconds": seconds, "further": None}
    differences = [(long - short) / (most - least) for short, long in zip(found[least], found[most], strict=True)]
    return {"seconds": seconds, "further": statistics.median(differences)}


def expressions(count: int) -> Iterator[str]:
    """Some expressions of `LONGEST` words."""
    for number in range(count):
        yield " ".join(WORDS[(number + place) % len(WORDS)] for place in range(LONGEST))
