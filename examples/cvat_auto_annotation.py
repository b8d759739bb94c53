"""Annotates a task of CVAT with expressions, through CVAT's own SDK.

    pip install cvat-cli
    cvat-cli task auto-annotate 1 --function-file examples/cvat_auto_annotation.py \
        -p model=str:photo -p 'expressions=str:the person on the left; the dog'

The task needs a label for each expression, of the same name and of the type mask. Masks are exact to the pixel.
"""

from __future__ import annotations

import cvat_sdk.auto_annotation as cvataa
from cvat_sdk.masks import encode_mask
from cvat_sdk.models import LabeledShapeRequest
from PIL import Image

from m3att import Segmenter


class ReferringFunction:
    """A detection function of CVAT whose labels are expressions.

    Args:
        segmenter: that finds them.
        expressions: one a label.
    """

    def __init__(self, segmenter: Segmenter, expressions: list[str]) -> None:
        self.segmenter, self.expressions = segmenter, expressions
        labels = [cvataa.label_spec(text, number, type="mask") for number, text in enumerate(expressions)]
        self.spec = cvataa.DetectionFunctionSpec(labels=labels)

    def detect(self, context: cvataa.DetectionFunctionContext, image: Image.Image) -> list[LabeledShapeRequest]:
        """The masks of one image. Those with a score below the threshold that CVAT asks for are left out."""
        found = self.segmenter.encode(image).segment(self.expressions)
        least = context.conf_threshold or 0.0
        return [
            cvataa.mask(number, encode_mask(prediction.mask))
            for number, prediction in enumerate(found)
            if prediction.area and prediction.score >= least
        ]


def create(model: str, expressions: str) -> ReferringFunction:
    """What cvat-cli calls with the parameters of its command line; expressions are set apart by semicolons."""
    texts = [text.strip() for text in expressions.split(";") if text.strip()]
    return ReferringFunction(Segmenter.from_pretrained(model), texts)
