"""Why the rows of an ablation differ: what of the image and of the words passes through each trained network.

    python benchmarks/why.py MODEL_OR_RUNS [...] [--images N] [--json FILE]

Each argument is a bundled model, a model folder, or a folder of `m3att ablate`, of which all finished runs are taken.
The models must have been trained on ShapeRef; what is read is ShapeRef val. For each model:

- `looks`: what looking.py tells, where the decoder's words attend to positions: mean IoU as the network is, with one
  vector in the place of every output of the attention, and with the attention shown another image; where the referent
  lies as told by each layer; the share of its output that changes with the image (M3Dec layers only).
- `words`: how well the mean of F_dec over its rows tells which of the 40 most frequent words an expression holds (R^2
  of a ridge regression on images that it was not fitted on), beside the same of F_t. It is what LFR is meant to keep.
- `gradient`: of each layer, how much the mask loss depends on the attention's output: the norm of gradient times value,
  over the same at its query. It does not depend on how large the values are.
- `f_mul`: of each layer with F_mul: the share of its energy that is the same at every position, and the effective rank
  (the exponential of the entropy of the squared singular values) of the rest, for an expression.
- `by_words`: mean IoU by the number of words of an expression, N_t.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from looking import AT_ONCE, look, run, told_of
from m3att.data.batch import Batch, make_batch
from m3att.data.shaperef.source import ShapeRefSource
from m3att.model.m3att import M3Att
from m3att.pretrained import Pretrained, load_model

FREQUENT = 40
LENGTHS = ((1, 2), (3, 4), (5, 8), (9, 99))


def models_of(words: list[str]) -> Iterator[tuple[str, str]]:
    """The name and the place of each model that the arguments mean."""
    for word in words:
        results = sorted(Path(word).glob("table-*/*/seed-*/result.json"))
        for path in results:
            if json.loads(path.read_text("utf-8"))["state"] == "finished":
                yield str(path.parent.relative_to(word)), str(path.parent / "last")
        if not results:
            yield word, word


def batches(model: Pretrained, images: int) -> Iterator[tuple[int, Batch]]:
    source = ShapeRefSource("shaperef", "val", images)
    for first in range(0, images - images % AT_ONCE, AT_ONCE):
        samples = [source.read(number) for number in range(first, first + AT_ONCE)]
        yield first, make_batch(samples, model.tokenizer, model.config.input, keep_samples=True)


def mean_rows(rows_NQC: Tensor, mask_NQ: Tensor) -> Tensor:
    """(N, C): mean over the rows that count."""
    weight_NQ1 = mask_NQ.unsqueeze(2).to(rows_NQC.dtype)
    return (rows_NQC * weight_NQ1).sum(dim=1) / weight_NQ1.sum(dim=1)


def words_told(model: Pretrained, images: int) -> dict[str, float]:
    """R^2 of the words of an expression, told from F_dec and from F_t."""
    kept: dict[str, list[Tensor]] = defaultdict(list)
    decoder = model.network.decoder
    hook = decoder.register_forward_hook(lambda _module, given, output: kept["both"].extend((given[0], output)))
    features: dict[str, list[np.ndarray]] = defaultdict(list)
    ids, image_of = [], []
    with torch.inference_mode():
        for first, batch in batches(model, images):
            model.network(batch.pixels_BCHW, batch.image_index_N, batch.word_ids_NL, batch.word_mask_NL)
            words_NLC, decoded_NQC = kept.pop("both")
            length = batch.word_mask_NL.shape[1]
            mask_NQ = batch.word_mask_NL
            if decoder.by_position:
                mask_NQ = torch.ones_like(decoded_NQC[:, :, 0], dtype=torch.bool)
            else:
                decoded_NQC = decoded_NQC[:, :length]  # without filled words, where a network has them
            features["f_dec"].append(mean_rows(decoded_NQC, mask_NQ).double().numpy())
            features["f_t"].append(mean_rows(words_NLC[:, :length], batch.word_mask_NL).double().numpy())
            pairs = zip(batch.word_ids_NL, batch.word_mask_NL, strict=True)
            ids += [set(row_L[real_L].tolist()) for row_L, real_L in pairs]
            image_of.append(first + batch.image_index_N.numpy())
    hook.remove()
    frequent = [word for word, _ in Counter(word for row in ids for word in row).most_common(FREQUENT)]
    present_NT = np.array([[float(word in row) for word in frequent] for row in ids])
    image_N = np.concatenate(image_of)
    return {name: told_of(np.concatenate(rows), present_NT, image_N) for name, rows in features.items()}


def gradient_and_rank(model: Pretrained, images: int) -> dict[str, Any]:
    """How much of the mask loss reaches each attention, and what F_mul holds."""
    network = model.network
    layers = [layer for layer in network.decoder.layers if isinstance(getattr(layer, "mutual", None), M3Att)]
    ratios: list[list[float]] = [[] for _ in layers]
    constant: list[list[float]] = [[] for _ in layers]
    ranks: list[list[float]] = [[] for _ in layers]
    for _, batch in batches(model, images):
        seen: list[list[Tensor]] = [[] for _ in layers]
        fused: list[list[Tensor]] = [[] for _ in layers]
        hooks = []
        for layer, own, products in zip(layers, seen, fused, strict=True):
            hooks.append(
                layer.mutual.register_forward_hook(lambda _m, given, out, own=own: own.extend((given[0], out)))
            )
            if layer.mutual.attention in ("shared", "independent"):
                hooks.append(
                    layer.mutual.output.register_forward_pre_hook(
                        lambda _m, given, products=products: products.append(given[0].detach())
                    )
                )
        output = network(batch.pixels_BCHW, batch.image_index_N, batch.word_ids_NL, batch.word_mask_NL)
        loss = functional.binary_cross_entropy_with_logits(
            output.mask_logits_NHW, targets(batch, output.mask_logits_NHW)
        )
        wanted = [tensor for own in seen for tensor in own]
        gradients = torch.autograd.grad(loss, wanted, allow_unused=True) if wanted else ()
        pairs = zip(wanted, gradients, strict=True)
        norms = [0.0 if one is None else float((tensor.detach() * one).norm()) for tensor, one in pairs]
        for hook in hooks:
            hook.remove()
        for number in range(len(layers)):
            ratios[number].append(norms[2 * number + 1] / max(norms[2 * number], 1e-30))
            for fused_NLP in fused[number]:
                fused_NLP = fused_NLP[:, : batch.word_mask_NL.shape[1]]
                for rows_LP, real_L in zip(fused_NLP.double(), batch.word_mask_NL, strict=True):
                    own_LP = rows_LP[real_L]
                    moving_LP = own_LP - own_LP.mean(dim=1, keepdim=True)
                    energy = float(own_LP.square().sum())
                    constant[number].append(1 - float(moving_LP.square().sum()) / max(energy, 1e-30))
                    share = torch.linalg.svdvals(moving_LP).square()
                    if float(share.sum()) > 1e-20:
                        share = share / share.sum()
                        ranks[number].append(float(torch.exp(-(share * (share + 1e-30).log()).sum())))
    return {
        "gradient": [float(np.mean(own)) for own in ratios],
        "f_mul": [
            {"same_everywhere": float(np.mean(share)), "effective_rank": float(np.mean(rank)) if rank else None}
            for share, rank in zip(constant, ranks, strict=True)
            if share
        ],
    }


def targets(batch: Batch, logits_NHW: Tensor) -> Tensor:
    """The share of each logit's cell that the referent covers; the scenes are square and fill the input."""
    masks = []
    for sample in batch.samples:
        own_MHW = torch.as_tensor(sample.masks_MHW[list(sample.mask_index_N)].astype(np.float32))
        masks.append(functional.interpolate(own_MHW[:, None], size=logits_NHW.shape[1:], mode="area")[:, 0])
    return torch.cat(masks)


def by_words(model: Pretrained, images: int) -> dict[str, dict[str, float]]:
    """Mean IoU and number of expressions by N_t."""
    found: dict[str, list[float]] = defaultdict(list)
    with torch.inference_mode():
        for _, batch in batches(model, images):
            for iou, words in zip(run(model, batch), batch.word_mask_NL.sum(dim=1).tolist(), strict=True):
                low, high = next(pair for pair in LENGTHS if pair[0] <= words <= pair[1])
                found[f"{low} to {high}" if high < 99 else f"{low} or more"].append(float(iou))
    return {name: {"mean_iou": float(np.mean(ious)), "expressions": len(ious)} for name, ious in found.items()}


def explain(model: Pretrained, images: int) -> dict[str, Any]:
    """All figures of a model."""
    settings = model.config.model
    figures: dict[str, Any] = {"attention": settings.decoder.attention, "mask_padding": settings.mask_padding}
    if not settings.vision.early_fusion and settings.decoder.attention not in ("val", "vision_query"):
        with torch.inference_mode():
            figures["looks"] = look(model, images)
    figures["words"] = words_told(model, images)
    figures |= gradient_and_rank(model, min(images, 40))
    figures["by_words"] = by_words(model, images)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--images", type=int, default=200, help=f"rounded down to a multiple of {AT_ONCE}")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    found: dict[str, Any] = {}
    for name, place in models_of(given.models):
        figures = found[name] = explain(load_model(place), given.images)
        if "looks" in figures:
            whole, mean, another = figures["looks"]["mean_iou"].values()
            print(f"{name}: mean IoU {100 * whole:.1f}; one vector for all {100 * mean:.1f}; another image "
                  f"{100 * another:.1f}")  # fmt: skip
        print(f"{name}: words from F_dec R^2 {figures['words']['f_dec']:.2f}, from F_t {figures['words']['f_t']:.2f}; "
              f"gradient {', '.join(f'{one:.2f}' for one in figures['gradient'])}", flush=True)  # fmt: skip
        if given.json is not None:  # after each model, so that an interruption loses none
            given.json.write_text(json.dumps({"images": given.images, "models": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
