"""Both halves of the network as ONNX graphs, for any number of expressions and words and for images of any size.

They are traced, not captured by `torch.export`: the words' lengths go to ONNX's own LSTM and GRU, sizes stay free
without a proof about each of them, and it takes seconds where the other takes minutes (docs/onnx.md).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.onnx import symbolic_helper, symbolic_opset13, utils

from m3att.errors import ConfigError
from m3att.export.traceable import FreeGrid, TraceableAttention, TraceableBiRNN
from m3att.model.language.birnn import BiRNN
from m3att.model.network import EncodedImages, M3AttNet

OPSET = 17
"""Version of ONNX's operators in the graphs: ONNX Runtime 1.13 and later run it."""
ENCODER_INPUTS, ENCODER_OUTPUTS = ("pixels",), ("features", "size")
HEAD_INPUTS, HEAD_OUTPUTS = ("features", "size", "word_ids", "word_mask"), ("mask_logits",)
SKIP = "skip_{}"
"""What a skip connection of the mask decoder reads of an image, numbered from 1: an output of the encoder and an input
of the head, after the others."""


class ImageEncoder(nn.Module):
    """The vision half: images in, features out.

    Args:
        network: without early fusion.
    """

    def __init__(self, network: M3AttNet) -> None:
        super().__init__()
        self.vision, self.mask_decoder = network.vision, network.mask_decoder

    def forward(self, pixels_BHWC: Tensor) -> tuple[Tensor, ...]:
        """Encode images.

        Args:
            pixels_BHWC: RGB uint8.

        Returns:
            F_enc (B, rows, columns, C), the height and width of the images in pixels, (2,) int64, and what each skip
            connection reads of them, (B, width, H, W).
        """
        pixels_BCHW = pixels_BHWC.permute(0, 3, 1, 2)
        stride = self.vision.stride
        size_2 = torch._shape_as_tensor(pixels_BCHW)[2:]
        grid = FreeGrid(size_2, pixels_BCHW[0, 0, ::stride, ::stride], stride)
        maps = self.vision.backbone_maps(pixels_BCHW)
        vis_BPC = self.vision.finish(maps, grid)
        vis_BHWC = vis_BPC.reshape(vis_BPC.shape[0], *grid.cells, vis_BPC.shape[2])
        return vis_BHWC, size_2, *self.mask_decoder.read_skips(maps, grid)


class ExpressionHead(nn.Module):
    """The language half: features of one image and expressions in, mask logits out.

    Args:
        network: without early fusion.
    """

    def __init__(self, network: M3AttNet) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, features_1HWC: Tensor, size_2: Tensor, word_ids_NL: Tensor, word_mask_NL: Tensor, *skips: Tensor
    ) -> Tensor:
        """Segment.

        Args:
            features_1HWC: of one image, of `ImageEncoder`.
            size_2: its height and width in pixels.
            word_ids_NL: ids of the words.
            word_mask_NL: True = a real word.
            skips: what the skip connections read of the image, of `ImageEncoder`.

        Returns:
            Mask logits (N, h, w).
        """
        grid = FreeGrid(size_2, features_1HWC[0, :, :, 0], self.network.vision.stride)
        encoded = EncodedImages(features_1HWC.flatten(1, 2), grid, skips)
        image_index_N = torch.zeros_like(word_ids_NL[:, 0])
        return self.network.segment(encoded, image_index_N, word_ids_NL, word_mask_NL).mask_logits_NHW


def write_graphs(network: M3AttNet, side: int, encoder: Path, head: Path, fold: bool = True) -> None:
    """Trace both halves and write a file for each.

    Args:
        network: in evaluation mode, on the CPU; it is changed and of no use afterwards.
        side: of the square input that it was trained at, pixels.
        encoder: file of the image encoder.
        head: file of the expression head.
        fold: compute what depends on weights only. Otherwise each weight stays as the network has it, by its name.

    Raises:
        ConfigError: where the network fuses early, so that its vision half needs an expression.
    """
    if network.vision.fusion is not None:
        raise ConfigError(
            "model.vision.early_fusion: the vision half needs an expression, so it has no graph of its own"
        )
    if isinstance(network.language, BiRNN):
        network.language = TraceableBiRNN(network.language)
    for half in (network.vision.backbone, network.language):
        trunk: Any = getattr(half, "trunk", None)
        if hasattr(trunk, "set_attn_implementation"):  # a network of transformers
            trunk.set_attn_implementation("eager")  # the others choose their kernel by the size of the example
    for module in list(network.modules()):
        for name, part in module.named_children():
            if isinstance(part, nn.MultiheadAttention):
                setattr(module, name, TraceableAttention(part))
    # An example of odd sides, so that the trace holds all that any size needs: padding, cropping, resizing. Padded, it
    # is as large as the trained input, because a Swin shifts its windows or not by the size of its maps.
    odd = side - 1 - side % 2
    pixels_BHWC = torch.zeros((2, odd, odd, 3), dtype=torch.uint8)
    words = (torch.ones((3, 4), dtype=torch.int64), torch.arange(4)[None] < torch.tensor([[4], [2], [3]]))
    # Where weights may learn, a FoldedConvolution keeps its own; otherwise the kernel that it made of them is traced.
    network.requires_grad_(not fold)
    network.vision.freeze = network.vision.freeze and fold
    with torch.set_grad_enabled(not fold), plain_attention():
        first, second = ImageEncoder(network).eval(), ExpressionHead(network).eval()
        features_BHWC, size_2, *skips = first(pixels_BHWC)
        names = [SKIP.format(number) for number in range(1, len(skips) + 1)]
        finer = {name: {2: f"rows_{name}", 3: f"columns_{name}"} for name in names}
        image = {0: "images", 1: "height", 2: "width"}
        cells = {1: "rows", 2: "columns"}
        text = {0: "expressions", 1: "words"}
        trace(first, (pixels_BHWC,), encoder, ENCODER_INPUTS, (*ENCODER_OUTPUTS, *names), fold,
              {"pixels": image, "features": {0: "images", **cells},
               **{name: {0: "images", **axes} for name, axes in finer.items()}})  # fmt: skip
        example = (features_BHWC[:1], size_2, *words, *(read_BCHW[:1] for read_BCHW in skips))
        trace(second, example, head, (*HEAD_INPUTS, *names), HEAD_OUTPUTS, fold,
              {"features": cells, "word_ids": text, "word_mask": text, **finer,
               "mask_logits": {0: "expressions", 1: "mask_rows", 2: "mask_columns"}})  # fmt: skip


def trace(
    module: nn.Module,
    example: tuple[Tensor, ...],
    path: Path,
    inputs: tuple[str, ...],
    outputs: tuple[str, ...],
    fold: bool,
    axes: dict[str, dict[int, str]],
) -> None:
    """Write what a module does with an example as a graph.

    Args:
        module: one half.
        example: its arguments.
        path: the file.
        inputs: names of the arguments.
        outputs: names of the results.
        fold: see `write_graphs`.
        axes: of each input and output, those of any length, with their names.
    """
    with warnings.catch_warnings(), short_reshapes():
        # It warns that sizes which become Python numbers stay those of the example, which is meant, and of its age.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            example,
            str(path),
            dynamo=False,
            opset_version=OPSET,
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_axes=axes,
            do_constant_folding=fold,
            training=torch.onnx.TrainingMode.EVAL if fold else torch.onnx.TrainingMode.PRESERVE,
        )


@contextmanager
def plain_attention() -> Iterator[None]:
    """Attention as separate steps: its fast path is one operator, which ONNX does not have."""
    before: bool = torch.backends.mha.get_fastpath_enabled()
    switch: Callable[[bool], None] = torch.backends.mha.set_fastpath_enabled
    switch(False)
    try:
        yield
    finally:
        switch(before)


@contextmanager
def short_reshapes() -> Iterator[None]:
    """Write the division of a last axis, as into heads, as one operator: PyTorch writes ten, and they load slowly."""
    utils.register_custom_op_symbolic("aten::unflatten", divide_axis, OPSET)
    try:
        yield
    finally:
        utils.unregister_custom_op_symbolic("aten::unflatten", OPSET)


def divide_axis(g: Any, value: Any, axis: Any, sizes: Any) -> Any:
    """A Reshape whose zeros keep the axes before the divided one.

    Args:
        g: of the exporter.
        value: the tensor.
        axis: that is divided.
        sizes: of its parts.
    """
    rank = symbolic_helper._get_tensor_rank(value)
    number = symbolic_helper._maybe_get_const(axis, "i")
    parts = symbolic_helper._maybe_get_const(sizes, "is")
    if rank is None or not isinstance(number, int) or number % rank != rank - 1 or not isinstance(parts, list):
        return symbolic_opset13.unflatten(g, value, axis, sizes)
    known = parts if -1 in parts else [*parts[:-1], -1]
    shape = g.op("Constant", value_t=torch.tensor([0] * (rank - 1) + known, dtype=torch.int64))
    return g.op("Reshape", value, shape)
