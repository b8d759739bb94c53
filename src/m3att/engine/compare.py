"""Makes predicted and true masks by the rules of a protocol, at the size at which it compares them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from m3att.data.masks import mask_box
from m3att.data.transforms import Resize
from m3att.mask_map import MaskMap, mask_maps
from m3att.metrics import MaskCounts, count_masks
from m3att.protocols import Protocol
from m3att.regions import mask_over

Corners = tuple[int, int, int, int]


def compare(
    mask_logits_NHW: Tensor,
    stride: float,
    masks_MHW: NDArray[np.bool_],
    mask_index_N: NDArray[np.int64],
    resize: Resize,
    counts: dict[Protocol, MaskCounts],
    see: Callable[[MaskMap], None] | None = None,
) -> None:
    """Add the expressions of one image to the counts of every protocol; protocols with equal counting share the work.

    Expressions are taken one after the other, so that only one map of the image's size exists.

    Args:
        mask_logits_NHW: the network's output.
        stride: its `mask_stride`.
        masks_MHW: true masks at the image's own size.
        mask_index_N: the true mask of each expression.
        resize: from the image to the network's input.
        counts: are added to.
        see: gets the map of each expression, as `Segmenter` decides by it, while it is valid.
    """
    kinds = {protocol.counting: protocol for protocol in counts}
    counted = {counting: MaskCounts() for counting in kinds}
    truths: dict[tuple[object, ...], tuple[NDArray[np.bool_], list[int]]] = {}
    for protocol in kinds.values():
        if (protocol.frame, protocol.truth) not in truths:
            truth_MHW = true_masks(masks_MHW, resize.size, protocol)
            truths[protocol.frame, protocol.truth] = truth_MHW, [int(np.count_nonzero(one)) for one in truth_MHW]
    maps = mask_maps(mask_logits_NHW.float().numpy(), resize, stride)
    for number, (row, mask_map) in enumerate(zip(mask_index_N.tolist(), maps, strict=True)):
        scores: dict[tuple[object, ...], NDArray[np.float32]] = {}
        for counting, protocol in kinds.items():
            truth_MHW, areas = truths[protocol.frame, protocol.truth]
            truth_HW = truth_MHW[row]
            if is_segmenters(protocol):
                box, predicted_HW = mask_map.mask_in_box(protocol.threshold, protocol.region)
                truth_HW = truth_HW[box]
            else:
                mapping = mapping_of(protocol)
                if mapping not in scores:
                    scores[mapping] = mask_scores(
                        mask_logits_NHW[number : number + 1], stride, resize, protocol
                    ).numpy()
                predicted_HW = decide(scores[mapping], protocol)[0]
            shared, predicted = (int(np.count_nonzero(mask)) for mask in (predicted_HW & truth_HW, predicted_HW))
            counted[counting].add(shared, predicted, areas[row], protocol.least_pixels)
        if see is not None:
            see(mask_map)
    for protocol, total in counts.items():
        total.extend(counted[protocol.counting])


def is_segmenters(protocol: Protocol) -> bool:
    """Whether a protocol makes masks as `Segmenter` does, with `MaskMap`."""
    return protocol.kernel == "antialiased" and protocol.maps == "logits" and protocol.frame == "image"


def mapping_of(protocol: Protocol) -> tuple[object, ...]:
    """What decides how logits become the maps of `mask_scores`."""
    return (protocol.frame, protocol.maps, protocol.kernel, protocol.arg_max)


def compare_boxes(
    mask_logits_NHW: Tensor,
    stride: float,
    boxes_N4: Sequence[Corners],
    resize: Resize,
    threshold: float,
    region: str = "all",
) -> list[tuple[int, int, bool]]:
    """Compare the masks of one image with true boxes, at the image's own size and as protocol `original` makes masks.

    Args:
        mask_logits_NHW: the network's output.
        stride: its `mask_stride`.
        boxes_N4: the true box of each expression, XYXY pixels, the lower right corner exclusive.
        resize: from the image to the network's input.
        threshold: of the masks.
        region: see `EvaluateConfig.region`.

    Returns:
        For each expression the pixels that the box around its mask shares with the true box, those that either has,
        and whether the likeliest pixel lies in the true box.
    """
    # Not probabilities, because those near 1 are equal in float32.
    logits_NHW = torch.from_numpy(resize.invert(mask_logits_NHW, stride))
    found: list[tuple[int, int, bool]] = []
    for logits_HW, box in zip(logits_NHW, boxes_N4, strict=True):
        row, column = divmod(int(logits_HW.argmax()), logits_HW.shape[1])
        predicted = mask_box(mask_over(logits_HW.sigmoid().numpy(), threshold, region))
        found.append((*shared_pixels(predicted, box), contains(box, column, row)))
    return found


def shared_pixels(one: Corners, other: Corners) -> tuple[int, int]:
    """The pixels that two boxes share, and those that either has; boxes are XYXY, the lower right corner exclusive."""
    across, down = (max(0, min(one[at + 2], other[at + 2]) - max(one[at], other[at])) for at in (0, 1))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return across * down, sum(areas) - across * down


def contains(box: Corners, x: int, y: int) -> bool:
    """Whether a pixel lies in a box.

    Args:
        box: XYXY pixels, the lower right corner exclusive.
        x: column of the pixel.
        y: its row.
    """
    return box[0] <= x < box[2] and box[1] <= y < box[3]


def compare_masks(
    predicted_NHW: NDArray[np.bool_],
    truth_NHW: NDArray[np.bool_],
    size: int,
    counts: dict[Protocol, MaskCounts],
) -> None:
    """Add masks without probabilities to the counts; they have no threshold and are interpolated like true masks.

    Args:
        predicted_NHW: at the image's own size.
        truth_NHW: as large.
        size: side of the input frame, pixels.
        counts: are added to.
    """
    for protocol, total in counts.items():
        predicted, truth = (true_masks(masks_NHW, size, protocol) for masks_NHW in (predicted_NHW, truth_NHW))
        total.extend(count_masks(predicted, truth, protocol.least_pixels))


def mask_scores(mask_logits_NHW: Tensor, stride: float, resize: Resize, protocol: Protocol) -> Tensor:
    """The maps from which the protocol makes masks, at its size: logits for arg max, otherwise probabilities.

    Args:
        mask_logits_NHW: the network's output.
        stride: its `mask_stride`.
        resize: from the image to the network's input.
        protocol: frame, maps and kernel count.

    Returns:
        (N, height, width) float32; 0 and 1 where the protocol decides before it interpolates.
    """
    if is_segmenters(protocol):
        return torch.from_numpy(resize.probability(mask_logits_NHW, stride))  # as `Segmenter` gives it
    maps_NHW = mask_logits_NHW.float()
    if protocol.maps == "probabilities":
        maps_NHW = maps_NHW.sigmoid()
    maps_NHW = interpolate(maps_NHW, resize.covered(maps_NHW.shape[1:], stride), protocol)[
        :, : resize.size, : resize.size
    ]
    if protocol.maps == "masks":
        maps_NHW = (maps_NHW > 0).float()
    if protocol.kernel == "cubic":
        return warp(maps_NHW, resize)
    top, left, height, width = resize.content
    frame = (resize.height, resize.width) if protocol.frame == "image" else (resize.size, resize.size)
    return interpolate(maps_NHW[:, top : top + height, left : left + width], frame, protocol)


def interpolate(maps_NHW: Tensor, size: tuple[int, int], protocol: Protocol) -> Tensor:
    """Maps enlarged or shrunk by the protocol's kernel, without antialiasing.

    Args:
        maps_NHW: of any size.
        size: (height, width) wanted.
        protocol: whose kernel.

    Returns:
        (N, height, width).
    """
    if maps_NHW.shape[1:] == size:
        return maps_NHW
    kernel = "bicubic" if protocol.kernel == "cubic" else "bilinear"
    return F.interpolate(maps_NHW.unsqueeze(1), size=size, mode=kernel, align_corners=False).squeeze(1)


def warp(maps_NHW: Tensor, resize: Resize) -> Tensor:
    """Maps over the square, sampled bicubically at the image's pixels; beyond the square they are zero, as in CRIS.

    Args:
        maps_NHW: (N, size, size) over the square.
        resize: from the image to the square.

    Returns:
        (N, height, width) of the image.
    """
    top, left, height, width = resize.content
    across, down = width / resize.width, height / resize.height
    # Pixel centres are at halves, as in the network's own resize.
    to_square = np.array([[across, 0, left + across / 2 - 0.5], [0, down, top + down / 2 - 0.5]])
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    found = [
        cv2.warpAffine(map_HW, to_square, (resize.width, resize.height), flags=flags, borderValue=0.0)
        for map_HW in maps_NHW.numpy()
    ]
    return torch.from_numpy(np.stack(found))


def decide(scores_NHW: NDArray[np.float32], protocol: Protocol) -> NDArray[np.bool_]:
    """Masks, (N, H, W) bool, of what `mask_scores` gives.

    A score that equals the threshold is background in every evaluator.
    """
    threshold = 0.0 if protocol.arg_max else protocol.threshold
    if protocol.region == "all":
        return scores_NHW > threshold
    masks = [mask_over(score_HW, threshold, protocol.region) for score_HW in scores_NHW]
    return np.stack(masks) if masks else np.zeros(scores_NHW.shape, dtype=np.bool_)


def true_masks(masks_MHW: NDArray[np.bool_], size: int, protocol: Protocol) -> NDArray[np.bool_]:
    """True masks at the size at which the protocol compares: unchanged, or stretched to the input frame.

    Args:
        masks_MHW: at the image's own size.
        size: side of the network's input.
        protocol: frame and kind of truth count.

    Returns:
        (M, H, W) or (M, size, size).
    """
    if protocol.frame == "image" or not len(masks_MHW):
        return masks_MHW
    if protocol.truth == "coverage":
        height, width = masks_MHW.shape[1:]
        stretch = Resize(height, width, size, "stretch")
        return np.stack([stretch.mask(mask_HW) >= 128 for mask_HW in masks_MHW])
    nearest = cv2.INTER_NEAREST_EXACT
    return np.stack(
        [cv2.resize(mask_HW.astype(np.uint8), (size, size), interpolation=nearest) > 0 for mask_HW in masks_MHW]
    )
