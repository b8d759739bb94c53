"""How public evaluators turn maps into masks and masks into figures: a named set of rules for each.

docs/evaluation.md says in which code each rule was found. The resize of the network decides where the pixels of a map
lie on the image. A protocol decides only what is done with the map.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

TENTHS = (0.5, 0.6, 0.7, 0.8, 0.9)
# NumPy's arange(0.5, 1, 0.05), of which papers report every second value. Each step adds a rounding error.
STEPPED_TENTHS = (0.5, 0.6000000000000001, 0.7000000000000002, 0.8000000000000003, 0.9000000000000004)
# PyTorch's arange(0.5, 1, 0.1) in float32. Its 0.7 and 0.9 are slightly too small, its 0.6 and 0.8 too large.
SINGLE_TENTHS = (0.5, 0.6000000238418579, 0.699999988079071, 0.800000011920929, 0.8999999761581421)


@dataclass(frozen=True)
class Protocol:
    """The rules of one evaluator.

    Args:
        name: its name on the command line.
        frame: where masks are compared: on the pixels of the ``image``, or on the network's square ``input``, to which
            the image is stretched.
        maps: what is interpolated to the frame: the mask ``logits``, their ``probabilities``, or ``masks`` that are
            decided at the input size and then cover every pixel that they touch.
        kernel: kernel of the interpolation: ``antialiased`` bilinear, plain ``bilinear``, or ``cubic``.
        threshold: probability over which a pixel belongs to the mask.
        region: what of the pixels over the threshold is the mask; see `EvaluateConfig.region`.
        arg_max: the mask is the more likely of two classes. This is exact at 0.5, while a probability is rounded.
        truth: how the true mask is brought to the input frame: by the ``nearest`` pixel, or by ``coverage`` of at least
            half a pixel.
        least_pixels: a mask with fewer pixels counts as empty, which answers that there is no target.
        added: numbers that are added to intersection and union before the division.
        empty_iou: IoU of an empty mask for an expression without a target.
        at_least: Precision@X also counts an IoU of exactly X.
        precision_at: the values X of Precision@X, exact to the last bit.
        precision_of: ``all`` expressions, or only those with a target (``targets``).
        sentences: ``all`` sentences of a referent, or only the ``first``.
        headline: the figure that its papers report first.
    """

    name: str
    frame: Literal["image", "input"] = "image"
    maps: Literal["logits", "probabilities", "masks"] = "logits"
    kernel: Literal["antialiased", "bilinear", "cubic"] = "bilinear"
    threshold: float = 0.5
    region: Literal["all", "peak"] = "all"
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
        """The rules that decide the pixel counts. Protocols with equal rules share the counts."""
        asked = self.threshold, self.region, self.arg_max
        return self.frame, self.maps, self.kernel, *asked, self.truth, self.least_pixels


# Ours: the masks of `Segmenter`, on the image's own pixels. An empty mask is right if there is no target.
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
    """The protocols that a setting names. `all` names all of them, `original` first."""
    return tuple(PROTOCOLS.values()) if name == "all" else (PROTOCOLS[name],)
