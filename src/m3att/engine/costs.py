"""What a network costs: parameters and operations part by part, and the memory of training it."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from m3att.config import RunConfig
from m3att.engine.optim import build_optimizer, numbers_kept
from m3att.model.network import BackboneMaps, EncodedImages, M3AttNet
from m3att.model.recompute import recomputed_layers
from m3att.weights.start import pretrained_parts

# Part -> its modules. A module inside another one belongs to the first part that names it.
PARTS = {
    "merge and projection": r"vision\.(merge|projection|fusion)",
    "vision trunk": r"vision\.backbone",
    "transformer encoder": r"vision\.layers",
    "language": r"language",
    "M3Att": r"decoder\.layers\.\d+\.mutual",
    "rest of M3Dec": r"decoder\.layers",
    "IMI": r"decoder\.interactions",
    "LFR": r"lfr",
    "mask decoder": r"mask_decoder",
    "category head": r"category_head",
}
SHOWN = ("vision trunk", "merge and projection", *list(PARTS)[2:])
FLOAT_BYTES = 4


@dataclass(frozen=True)
class Part:
    """One part of the network.

    Args:
        name: of SHOWN.
        trainable: parameters that are trained.
        frozen: parameters that are not.
        per_image: multiply-adds an image.
        per_expression: multiply-adds an expression of full length.
    """

    name: str
    trainable: int
    frozen: int
    per_image: int
    per_expression: int


@dataclass(frozen=True)
class Memory:
    """Bytes that training takes.

    Args:
        weights: parameters and buffers.
        gradients: one number a trained parameter.
        optimizer: what it keeps of each trained parameter; see numbers_kept.
        per_image: kept for the backward pass, an image.
        per_expression: kept for the backward pass, an expression of full length.
        average: the moving average of the weights.
    """

    weights: int
    gradients: int
    optimizer: int
    per_image: int
    per_expression: int
    average: int = 0

    def batch(self, images: int, expressions: int) -> int:
        """All of it for a batch."""
        fixed = self.weights + self.gradients + self.optimizer + self.average
        return fixed + images * self.per_image + expressions * self.per_expression


def part_of(name: str) -> str | None:
    """The part that a module or parameter belongs to, by its dotted name; None for one that holds several parts."""
    return next((part for part, pattern in PARTS.items() if re.match(rf"({pattern})(\.|$)", name)), None)


def count_parts(network: M3AttNet, input_size: int, word_limit: int) -> tuple[Part, ...]:
    """Parameters and operations of every part that the network has.

    Operations are multiply-adds of matrix products, convolutions and recurrent cells in one pass forward, without LFR
    and the category head, which only training runs; norms, activations, softmaxes and resizing are not counted. An
    image's share is the work that is done once for all its expressions, also in the decoders.

    Args:
        network: on the CPU.
        input_size: side of the square input in pixels.
        word_limit: words of an expression.
    """
    trainable: Counter[str] = Counter()
    frozen: Counter[str] = Counter()
    for name, weight in network.named_parameters():
        part = part_of(name)
        assert part is not None, name
        (trainable if weight.requires_grad else frozen)[part] += weight.numel()
    was_training = network.training
    network.eval()
    with OperationMeter(network) as image:
        encoded = network.encode(example_image(input_size))
    meters = [OperationMeter(network), OperationMeter(network)]
    for expressions, meter in enumerate(meters, start=1):
        with meter:
            network.segment(encoded, *example_expressions(word_limit, expressions))
    network.train(was_training)
    one, two = (meter.counts for meter in meters)
    return tuple(
        Part(name, trainable[name], frozen[name], image.counts[name] + 2 * one[name] - two[name], two[name] - one[name])
        for name in SHOWN
        if trainable[name] or frozen[name]
    )


def example_image(input_size: int) -> Tensor:
    """One grey image, (1, 3, H, W)."""
    return torch.full((1, 3, input_size, input_size), 128, dtype=torch.uint8)


def example_expressions(words: int, expressions: int) -> tuple[Tensor, Tensor, Tensor]:
    """Expressions of full length on one image: image_index_N (N,), word_ids_NL and word_mask_NL (N, L)."""
    word_ids_NL = torch.ones((expressions, words), dtype=torch.int64)
    return torch.zeros(expressions, dtype=torch.int64), word_ids_NL, torch.ones_like(word_ids_NL, dtype=torch.bool)


class OperationMeter:
    """Counts multiply-adds by part while it is entered.

    Args:
        network: whose parts.
    """

    def __init__(self, network: M3AttNet) -> None:
        self.network = network
        self.counts: Counter[str] = Counter()
        self._open: list[str] = []
        self._seen = 0
        self._counter = FlopCounterMode(
            display=False, custom_mapping={torch.ops.aten.mkldnn_rnn_layer: recurrent_operations}
        )

    def __enter__(self) -> OperationMeter:
        self._stack = ExitStack()
        # The counter does not know the operations of PyTorch's fused attention and encoder layers.
        self._stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        fast = torch.backends.mha.get_fastpath_enabled()
        torch.backends.mha.set_fastpath_enabled(False)
        self._stack.callback(torch.backends.mha.set_fastpath_enabled, fast)
        self._stack.enter_context(torch.no_grad())
        for name, module in self.network.named_modules():
            part = part_of(name)
            if part is not None:  # every one, since a list of layers is never called itself
                self._stack.callback(module.register_forward_pre_hook(self._entering(part)).remove)
                self._stack.callback(module.register_forward_hook(self._leaving).remove)
        self._stack.enter_context(self._counter)
        return self

    def __exit__(self, *_: object) -> None:
        self._settle()
        self._stack.close()

    def _entering(self, part: str) -> Callable[..., None]:
        def enter(*_: object) -> None:
            self._settle()
            self._open.append(part)

        return enter

    def _leaving(self, *_: object) -> None:
        self._settle()
        self._open.pop()

    def _settle(self) -> None:
        """Add the operations counted since the last call to the part that is running."""
        now = self._counter.get_total_flops()
        if self._open:
            self.counts[self._open[-1]] += (now - self._seen) // 2
        self._seen = now


def recurrent_operations(inputs: Sequence[int], first: Sequence[int], second: Sequence[int], *_: Any, **__: Any) -> int:
    """Operations of one direction of an LSTM on a CPU, of its shapes: input (T, N, I), weights (4H, I) and (4H, H).

    Args:
        inputs: (T, N, I).
        first: (4H, I).
        second: (4H, H).
    """
    return 2 * inputs[0] * inputs[1] * (math.prod(first) + math.prod(second))


def estimate_memory(network: M3AttNet, config: RunConfig) -> Memory:
    """Memory of a training step, computed from what one image with two and with four expressions keeps.

    It does not include the batch itself and what single operations need while they run. Of a layer that is computed
    again in the backward pass, it includes the input.

    Args:
        network: in training mode, on the CPU; running statistics of its norms are changed.
        config: the run.
    """
    trained = sum(weight.numel() for weight in network.parameters() if weight.requires_grad)
    optimizer = build_optimizer(network, config.train, pretrained_parts(network, config.model))
    own = [*network.parameters(), *network.buffers()]
    layers = recomputed_layers(network)

    low = config.train.precision == "bfloat16"
    with torch.autocast("cpu", torch.bfloat16, enabled=low), saved_bytes(own, layers) as image:
        encoded = network.encode(example_image(config.input.size))
    kept: list[int] = []
    for expressions in (2, 4):
        loose, words = loosened(encoded), example_expressions(config.model.word_limit, expressions)
        with torch.autocast("cpu", torch.bfloat16, enabled=low), saved_bytes(own, layers) as sizes:
            output = network.segment(loose, *words, reconstruct=True)
        kept.append(sum(sizes.values()))
        del output  # kept until here; otherwise its memory would be used twice and counted once
    per_expression = (kept[1] - kept[0]) // 2
    weights = sum(tensor.numel() * tensor.element_size() for tensor in own)
    return Memory(
        weights=weights,
        gradients=FLOAT_BYTES * trained,
        optimizer=FLOAT_BYTES * numbers_kept(optimizer),
        per_image=sum(image.values()) + kept[0] - 2 * per_expression,
        per_expression=per_expression,
        average=weights if config.train.ema else 0,
    )


def loosened(encoded: EncodedImages | BackboneMaps) -> EncodedImages | BackboneMaps:
    """The same values, detached, with a gradient of their own."""
    skips = tuple(read_BCHW.detach().requires_grad_() for read_BCHW in encoded.skips)
    if isinstance(encoded, BackboneMaps):
        maps = tuple(map_BCHW.detach().requires_grad_() for map_BCHW in encoded.maps)
        return replace(encoded, maps=maps, skips=skips)
    return replace(encoded, vis_BPC=encoded.vis_BPC.detach().requires_grad_(), skips=skips)


@contextmanager
def saved_bytes(own: Sequence[Tensor], layers: Sequence[nn.Module] = ()) -> Iterator[dict[int, int]]:
    """Adds up the sizes of all storages that are kept for the backward pass, each once; weights are not counted.

    Args:
        own: weights and buffers of the network.
        layers: those that are computed again in the backward pass. PyTorch keeps their inputs in a closure, of
            which the hooks for saved tensors hear nothing.
    """
    weights = {tensor.untyped_storage().data_ptr() for tensor in own}
    sizes: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    def keep_input(_: nn.Module, given: tuple[Any, ...]) -> None:
        for tensor in given:
            if isinstance(tensor, Tensor):
                pack(tensor)

    with ExitStack() as stack:
        for layer in layers:
            stack.callback(layer.register_forward_pre_hook(keep_input).remove)
        stack.enter_context(torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor))
        yield sizes
