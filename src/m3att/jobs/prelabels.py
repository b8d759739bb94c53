"""The results of a batch job as pre-annotations of Label Studio and CVAT, pixel for pixel.

Both get run lengths. Polygons would lose holes, and each tool would draw their edges in its own way.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape, quoteattr

import numpy as np
from numpy.typing import NDArray

from m3att.data.masks import read_lengths
from m3att.data.own.label_studio import encode_brush
from m3att.jobs.parts import Parts

LABEL = "object"
"""The label of every region in both tools."""
NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold."""


def write_label_studio(parts: Parts, path: Path, image_url: str = "") -> None:
    """Tasks of Label Studio with a prediction each, for its import of JSON.

    Args:
        parts: of the job.
        path: to write to.
        image_url: stands before the path of each image, such as ``/data/local-files/?d=``. Empty: paths stay.
    """
    with path.open("w", encoding="utf-8") as file:
        file.write("[")
        for number, task in enumerate(label_studio_tasks(parts, image_url)):
            file.write(("," if number else "") + "\n" + json.dumps(task, separators=(",", ":")))
        file.write("\n]\n")


def label_studio_tasks(parts: Parts, image_url: str) -> Iterator[dict[str, Any]]:
    """A task a line of the manifest. A region is a brush mask and, of the same id, its expression.

    Args:
        parts: of the job.
        image_url: see write_label_studio.
    """
    model = str(parts.job.get("model", ""))
    for record, masks in drawn(parts):
        result: list[dict[str, Any]] = []
        height, width = record["height"], record["width"]
        for number, (prediction, mask_HW) in enumerate(masks):
            region = {
                "id": f"{record['line']}-{number}",
                "to_name": "image",
                "original_width": width,
                "original_height": height,
                "image_rotation": 0,
                "score": prediction["score"],
            }
            brush = {"format": "rle", "rle": encode_brush(mask_HW), "brushlabels": [LABEL]}
            text = {"text": [prediction["expression"]]}
            result.append(region | {"from_name": "mask", "type": "brushlabels", "value": brush})
            result.append(region | {"from_name": "expression", "type": "textarea", "value": text})
        image = image_url + quote(os.fsencode(record["image"])) if image_url else record["image"]
        scores = [prediction["score"] for prediction, _ in masks]
        found = {"model_version": model, "score": sum(scores) / max(1, len(scores)), "result": result}
        yield {"data": {"image": image, "line": record["line"]}, "predictions": [found]}


def write_cvat(parts: Parts, path: Path) -> None:
    """Annotations in the format "CVAT for images 1.1", for `task.import_annotations("CVAT 1.1", path)`.

    The label `object` needs a text attribute `expression`.
    """
    numbers = count()
    with path.open("w", encoding="utf-8") as file:
        file.write('<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>\n')
        for record, masks in drawn(parts):
            name, size = xml(record["image"], quoteattr), f'width="{record["width"]}" height="{record["height"]}"'
            file.write(f'<image id="{next(numbers)}" name={name} {size}>\n')
            for prediction, mask_HW in masks:
                expression = xml(prediction["expression"], escape)
                file.write(f'<mask label="{LABEL}" source="auto" occluded="0" z_order="0" {cvat_mask(mask_HW)}>')
                file.write(f'<attribute name="expression">{expression}</attribute></mask>\n')
            file.write("</image>\n")
        file.write("</annotations>\n")


def cvat_mask(mask_HW: NDArray[np.bool_]) -> str:
    """The attributes of a mask of CVAT: run lengths of its box along the rows, the first outside the object."""
    rows, columns = np.flatnonzero(mask_HW.any(axis=1)), np.flatnonzero(mask_HW.any(axis=0))
    top, left = int(rows[0]), int(columns[0])
    box_HW = mask_HW[top : int(rows[-1]) + 1, left : int(columns[-1]) + 1]
    starts = np.flatnonzero(np.diff(box_HW.ravel(), prepend=False))
    lengths = np.diff(starts, prepend=0, append=box_HW.size).tolist()
    place = f'left="{left}" top="{top}" width="{box_HW.shape[1]}" height="{box_HW.shape[0]}"'
    return f'rle="{", ".join(map(str, lengths))}" {place}'


def drawn(parts: Parts) -> Iterator[tuple[dict[str, Any], list[tuple[dict[str, Any], NDArray[np.bool_]]]]]:
    """Each line that was answered, with its predictions and their masks, (H, W); empty masks are left out."""
    for record in parts.records():
        if "predictions" in record:
            found = [prediction for prediction in record["predictions"] if prediction["area"]]
            size = record["height"], record["width"]
            yield record, [(prediction, read_lengths(prediction["segmentation"], *size).draw()) for prediction in found]


def xml(text: str, escaped: Any) -> str:
    """A text as XML holds it.

    Args:
        text: any text; what XML cannot hold becomes a question mark.
        escaped: `escape` for a text, `quoteattr` for an attribute.
    """
    found: str = escaped(NO_XML.sub("?", text))
    return found
