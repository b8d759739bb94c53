"""How the field turns maps into masks and masks into figures: one named set of rules for each public evaluator.

docs/evaluation.md tells which line of whose code each rule was read in. The geometry, where a map's pixels lie on the
image, is always that of the network's own resize: a protocol decides what is done with the map, not where it lies.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

TENTHS = (0.5, 0.6, 0.7, 0.8, 0.9)
# NumPy's arange(0.5, 1, 0.05), of which papers report every second value; its steps are added up with their rounding.
STEPPED_TENTHS = (0.5, 0.6000000000000001, 0.7000000000000002, 0.8000000000000003, 0.9000000000000004)
# PyTorch's arange(0.5, 1, 0.1), which is float32: 0.7 and 0.9 are a little less than that, 0.6 and 0.8 a little more.
SINGLE_TENTHS = (0.5, 0.6000000238418579, 0.699999988079071, 0.800000011920929, 0.8999999761581421)


@dataclass(frozen=True)
class Protocol:
    """The rules of one evaluator.

    Args:
        name: what users call it.
        frame: where masks are compared: on the ``image``'s own pixels, or on the network's square ``input``, which the
            image fills without proportions.
        maps: what is interpolated on the way there: mask ``logits``, their ``probabilities``, or ``masks`` that are
            decided at the input size and that cover each pixel they touch.
        kernel: of the interpolation: ``antialiased`` bilinear, plain ``bilinear``, or ``cubic``.
        threshold: probability over which a pixel belongs to the mask.
        arg_max: the mask is the likelier of two classes: exact at 0.5, where a probability is rounded.
        truth: how the true mask gets to the input frame: ``nearest`` pixel, or ``coverage`` of half a pixel or more.
        least_pixels: a mask of fewer is emptied: the answer that nothing is meant.
        added: what is added to intersection and union before they are divided.
        empty_iou: IoU of an empty mask where nothing is meant.
        at_least: Precision@X counts an IoU of X itself too.
        precision_at: the X of Precision@X, to the bit.
        precision_of: ``all`` expressions, or those that mean something, the ``targets``.
        sentences: ``all`` of a referent, or the ``first``.
        headline: the figure that its papers lead with.
    """

    name: str
    frame: Literal["image", "input"] = "image"
    maps: Literal["logits", "probabilities", "masks"] = "logits"
    kernel: Literal["antialiased", "bilinear", "cubic"] = "bilinear"
    threshold: float = 0.5
    arg_max: bool = False
    truth: Literal["nearest", "coverage"] = "nearest"
    least_pixels: int = 1
    added: tuple[float, float] = (0.0, 0.0)
    empty_iou: float = 0.0
    at_least: bool = False
    precision_at: tuple[float, ...] = TENTHS
    precision_of: Literal["all", "targets"] = "all"
    sentences: Literal["all", "first"] = "all"
    headline: Literal["mean_iou", "overall_iou"] = "mean_iou"

    @property
    def counting(self) -> tuple[object, ...]:
        """What decides the pixel counts: protocols that agree in it share them."""
        return self.frame, self.maps, self.kernel, self.threshold, self.arg_max, self.truth, self.least_pixels


# Ours: what `Segmenter` hands out, on the image's own pixels. An empty mask is right where nothing is meant.
ORIGINAL = Protocol("original", kernel="antialiased", threshold=0.35, empty_iou=1.0)
MCN = Protocol(
    "mcn",
    maps="probabilities",
    threshold=0.35,
    added=(1e-10, 1e-10),
    empty_iou=1.0,
    precision_at=STEPPED_TENTHS,
)
CRIS = Protocol(
    "cris",
    maps="probabilities",
    kernel="cubic",
    threshold=0.35,
    added=(0.0, 1e-6),
    precision_at=SINGLE_TENTHS,
)

PROTOCOLS: dict[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        ORIGINAL,
        Protocol("lavt", frame="input", arg_max=True, at_least=True, headline="overall_iou"),
        replace(MCN, name="vlt"),
        MCN,
        CRIS,
        replace(CRIS, name="cris-val", sentences="first"),
        Protocol("refer", maps="masks", arg_max=True, at_least=True, headline="overall_iou"),
        Protocol(
            "rela",
            frame="input",
            arg_max=True,
            truth="coverage",
            least_pixels=50,
            empty_iou=1.0,
            at_least=True,
            precision_at=(0.7, 0.8, 0.9),
            precision_of="targets",
            headline="overall_iou",
        ),
    )
}


def chosen_protocols(name: str) -> tuple[Protocol, ...]:
    """The protocols that a setting names, the one whose figures lead first; `all` is led by `original`."""
    return tuple(PROTOCOLS.values()) if name == "all" else (PROTOCOLS[name],)
