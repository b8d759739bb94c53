"""Whether the decoder looks at the image: what a trained network loses when M3Att no longer can, and what M3Att tells.

    python benchmarks/looking.py MODEL [MODEL ...] [--images N] [--json FILE]

MODEL is a bundled model's name or a model folder that was trained on ShapeRef; what is read is ShapeRef val. For each:

- mean IoU as the network is; with every M3Att output replaced by the batch's mean; with M3Att shown another image of
  the batch, while the mask decoder sees the right one. A decoder that looks at the image loses by either.
- layer by layer, how well a ridge regression tells the referent's centre from M3Att's output (mean and maximum over
  the words), on images that it was not fitted on: R^2, 0 where nothing of it is there.
- layer by layer, the share of the normed M3Att output's energy that changes with the image, words being equal.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from m3att.data.batch import Batch, make_batch
from m3att.data.shaperef.source import ShapeRefSource
from m3att.model.grid import Grid
from m3att.model.grouping import Grouping
from m3att.model.m3att import M3Att
from m3att.pretrained import Pretrained, load_model

SEEN = ("whole", "mean", "another image")
AT_ONCE = 8  # images
RIDGE = 30.0


@contextmanager
def seeing(mode: Literal["whole", "mean", "another image"]) -> Iterator[list[Tensor]]:
    """What M3Att gives while the context is open, changed as ``mode`` says; the list holds each call's true output."""
    told: list[Tensor] = []
    forward = M3Att.forward

    def changed(
        self: M3Att,
        words_NLC: Tensor,
        mask_NL: Tensor,
        vis_BPC: Tensor,
        grouping: Grouping,
        grid: Grid,
        attention_maps: list[Tensor] | None = None,
    ) -> Tensor:
        vis_BPC = vis_BPC.roll(1, dims=0) if mode == "another image" else vis_BPC
        output_NLC = forward(self, words_NLC, mask_NL, vis_BPC, grouping, grid, attention_maps)
        told.append(output_NLC)
        return output_NLC[mask_NL].mean(dim=0).expand_as(output_NLC) if mode == "mean" else output_NLC

    M3Att.forward = changed  # type: ignore[method-assign]
    try:
        yield told
    finally:
        M3Att.forward = forward  # type: ignore[method-assign]


def run(model: Pretrained, batch: Batch) -> NDArray[np.float64]:
    """The IoU of each expression of a batch."""
    output = model.network(batch.pixels_BCHW, batch.image_index_N, batch.word_ids_NL, batch.word_mask_NL)
    found = []
    for number, (sample, resize) in enumerate(zip(batch.samples, batch.resizes, strict=True)):
        own = output.mask_logits_NHW[batch.image_index_N == number]
        masks_NHW = resize.probability(own, output.mask_stride) > model.config.evaluate.threshold
        true_NHW = sample.masks_MHW[list(sample.mask_index_N)].astype(bool)
        union_N = (masks_NHW | true_NHW).sum(axis=(1, 2))
        found.append((masks_NHW & true_NHW).sum(axis=(1, 2)) / np.maximum(union_N, 1))
    return np.concatenate(found)


def centres(batch: Batch) -> NDArray[np.float64]:
    """(N, 2): where each expression's referent lies, in shares of the image."""
    found = []
    for sample in batch.samples:
        masks_MHW = sample.masks_MHW
        for row in sample.mask_index_N:
            ys, xs = np.nonzero(masks_MHW[row])
            found.append((ys.mean() / masks_MHW.shape[1], xs.mean() / masks_MHW.shape[2]))
    return np.array(found)


def pooled(output_NLC: Tensor, mask_NL: Tensor) -> NDArray[np.float64]:
    """(N, 2C): mean and maximum over the words."""
    real_NL1 = mask_NL.unsqueeze(2)
    mean_NC = (output_NLC * real_NL1).sum(dim=1) / real_NL1.sum(dim=1)
    most_NC = output_NLC.masked_fill(~real_NL1, -torch.inf).amax(dim=1)
    return torch.cat([mean_NC, most_NC], dim=1).double().numpy()


def told_of(features_NF: NDArray[np.float64], targets_NT: NDArray[np.float64], image_N: NDArray[np.int64]) -> float:
    """R^2, on each third image, of a ridge regression fitted on the others."""
    held_N = image_N % 3 == 0
    centre_F, deviation_F = features_NF[~held_N].mean(axis=0), features_NF[~held_N].std(axis=0) + 1e-6
    features_NF = np.c_[(features_NF - centre_F) / deviation_F, np.ones(len(features_NF))]
    fit_NF, mean_T = features_NF[~held_N], targets_NT[~held_N].mean(axis=0)
    weights_FT = np.linalg.solve(
        fit_NF.T @ fit_NF + RIDGE * np.eye(fit_NF.shape[1]), fit_NF.T @ (targets_NT[~held_N] - mean_T)
    )
    left_NT = targets_NT[held_N] - mean_T - features_NF[held_N] @ weights_FT
    return float(1 - (left_NT**2).sum() / ((targets_NT[held_N] - mean_T) ** 2).sum())


def changing_share(model: Pretrained, batch: Batch) -> list[float]:
    """Of each layer's normed M3Att output: the energy that changes with the image, as a share of all.

    None for layers of generic attention, which have no norm after the attention.
    """
    images, sentences = len(batch.samples), min(AT_ONCE, len(batch.word_ids_NL))
    normed: list[Tensor] = []
    hooks = [
        layer.norm_mutual.register_forward_hook(lambda _module, _inputs, output: normed.append(output))
        for layer in model.network.decoder.layers
        if hasattr(layer, "norm_mutual")
    ]
    image_index_N = torch.arange(images).repeat_interleave(sentences)
    word_ids_NL, mask_NL = (
        rows_NL[:sentences].repeat(images, 1) for rows_NL in (batch.word_ids_NL, batch.word_mask_NL)
    )
    model.network(batch.pixels_BCHW, image_index_N, word_ids_NL, mask_NL)
    for hook in hooks:
        hook.remove()
    real_BSL1 = mask_NL.view(images, sentences, -1, 1)  # filled words, where a network has them, do not count
    found = []
    for output_NLC in normed:
        output_BSLC = output_NLC[:, : mask_NL.shape[1]].unflatten(0, (images, sentences)) * real_BSL1
        changing_BSLC = output_BSLC - output_BSLC.mean(dim=0, keepdim=True)
        found.append(float(changing_BSLC.square().sum() / output_BSLC.square().sum()))
    return found


def look(model: Pretrained, images: int) -> dict[str, Any]:
    """All figures of a model.

    Raises:
        SystemExit: where M3Att gives no vector a word, or reads vision that knows the expression.
    """
    if model.config.model.vision.early_fusion or model.config.model.decoder.attention in ("val", "vision_query"):
        raise SystemExit("early fusion and VAL alone, in either form, cannot be looked into")
    source = ShapeRefSource("shaperef", "val", images)
    ious: dict[str, list[NDArray[np.float64]]] = {mode: [] for mode in SEEN}
    features: list[list[NDArray[np.float64]]] = [[] for _ in model.network.decoder.layers]
    targets, image_of, shares = [], [], []
    for first in range(0, images - images % AT_ONCE, AT_ONCE):  # whole batches: a lone image has no other
        samples = [source.read(number) for number in range(first, first + AT_ONCE)]
        batch = make_batch(samples, model.tokenizer, model.config.input, keep_samples=True)
        for mode in SEEN:
            with seeing(mode) as told:  # type: ignore[arg-type]
                ious[mode].append(run(model, batch))
            if mode == "whole":
                for layer, output_NLC in zip(features, told, strict=True):
                    layer.append(pooled(output_NLC[:, : batch.word_mask_NL.shape[1]], batch.word_mask_NL))
        targets.append(centres(batch))
        image_of.append(first + batch.image_index_N.numpy())
        shares.append(changing_share(model, batch))
    where_NT, image_N = np.concatenate(targets), np.concatenate(image_of)
    return {
        "expressions": len(where_NT),
        "mean_iou": {mode: float(np.concatenate(found).mean()) for mode, found in ious.items()},
        "centre_r2": [told_of(np.concatenate(layer), where_NT, image_N) for layer in features],
        "changing_share": np.mean(shares, axis=0).tolist() if shares[0] else [],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--images", type=int, default=400, help=f"rounded down to a multiple of {AT_ONCE}")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    found = {}
    for name in given.models:
        with torch.inference_mode():
            figures = found[name] = look(load_model(name), given.images)
        whole, mean, another = (100 * figures["mean_iou"][mode] for mode in SEEN)
        print(f"{name}: mean IoU {whole:.1f}; with M3Att's mean {mean:.1f}; with another image {another:.1f}")
        for number, told in enumerate(figures["centre_r2"]):
            changing = [f"; {100 * share:.1f} per cent change with the image" for share in figures["changing_share"]]
            print(f"  layer {number + 1}: centre R^2 {told:.2f}{changing[number] if changing else ''}", flush=True)
    if given.json is not None:
        given.json.write_text(json.dumps({"images": given.images, "models": found}, indent=1))


if __name__ == "__main__":
    main()
