"""Whether ONNX Runtime gives the masks of PyTorch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from m3att.backends import Backend
from m3att.backends.pytorch import TorchBackend
from m3att.pretrained import Pretrained


def compare(pretrained: Pretrained, backend: Backend, seed: int = 0) -> float:
    """Ask a model and its exported form the same questions about noise.

    The image has the trained size and an odd one near it; there are 1, 2 and 33 expressions, of one word and of as many
    as the model reads.

    Args:
        pretrained: the model.
        backend: its exported form.
        seed: of the noise.

    Returns:
        The largest share of a question's logits that lie on another side of the threshold.
    """
    chance = np.random.default_rng(seed)
    own = TorchBackend(pretrained.network, next(pretrained.network.parameters()).device)
    side, limit = pretrained.inputs.size, pretrained.tokenizer.word_limit
    edge = np.log(pretrained.threshold / (1 - pretrained.threshold)) if pretrained.threshold > 0 else -np.inf
    worst = 0.0
    for height, width in ((side, side), (side - 1 - side % 2, side + 3)):
        squares_BHWC = chance.integers(0, 256, (2, height, width, 3), dtype=np.uint8)
        ours, theirs = own.encode(squares_BHWC)[1], backend.encode(squares_BHWC)[1]
        for expressions, words in ((1, 1), (2, limit), (33, min(5, limit))):
            ids_NL, mask_NL = questions(chance, pretrained.tokenizer.size, expressions, words)
            one, other = own.segment(ours, ids_NL, mask_NL), backend.segment(theirs, ids_NL, mask_NL)
            worst = max(worst, 1.0 if one.shape != other.shape else float(((one > edge) != (other > edge)).mean()))
    return worst


def questions(
    chance: np.random.Generator, vocabulary: int, expressions: int, words: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Expressions of random words, and of different lengths.

    Args:
        chance: source of the words.
        vocabulary: words that there are; the first four may be marks.
        expressions: N.
        words: of the longest expression.

    Returns:
        Ids and mask, (N, L).
    """
    lengths_N = chance.integers(1, words + 1, expressions)
    lengths_N[0] = words
    mask_NL: NDArray[np.bool_] = np.arange(words)[None] < lengths_N[:, None]
    return chance.integers(min(4, vocabulary - 1), vocabulary, mask_NL.shape) * mask_NL, mask_NL
