"""The results of a finished batch job as one file: JSON Lines, COCO json or Parquet, and a file of errors.

All are written from the parts record by record, so that a job of any size needs the memory of one part.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from m3att.extras import require
from m3att.files import replacing
from m3att.jobs.parts import Parts
from m3att.jobs.prelabels import write_cvat, write_label_studio
from m3att.prediction import xywh

ERRORS = "errors.jsonl"
LABEL_STUDIO = "label_studio"
ROWS_AT_ONCE = 1024
"""Rows of a group of a Parquet file."""

Row = dict[str, Any]


def write_results(parts: Parts, kind: str, image_url: str = "") -> tuple[Path, int]:
    """Write the results of a job whose parts are all there, and ``errors.jsonl`` beside them.

    Args:
        parts: of the job.
        kind: a key of `WRITERS`.
        image_url: for Label Studio, what stands before the path of each image.

    Returns:
        The file of results, and how many errors there are.

    Raises:
        DataError: if a part is damaged.
        ConfigError: if the kind needs a library that is not installed.
    """
    suffix, write = WRITERS[kind]
    if kind == LABEL_STUDIO:
        write = partial(write_label_studio, image_url=image_url)
    path = parts.folder / f"predictions.{suffix}"
    with replacing(path) as part:
        write(parts, part)
    with replacing(parts.folder / ERRORS) as part:
        errors = write_lines(part, errors_of(parts))
    return path, errors


def rows_of(parts: Parts) -> Iterator[Row]:
    """A row for each expression that was segmented: its line's values and its prediction's."""
    for record in parts.records():
        of_line = {key: record.get(key) for key in ("line", "id", "image", "height", "width")}
        for prediction in record.get("predictions", ()):
            yield of_line | prediction


def errors_of(parts: Parts) -> Iterator[Row]:
    """A row for each line, or expression of a line, that is bad."""
    for record in parts.records():
        of_line = {key: record[key] for key in ("line", "id", "image") if key in record}
        if "error" in record:
            yield of_line | {"error": record["error"]}
        for error in record.get("errors", ()):
            yield of_line | error


def write_lines(path: Path, rows: Iterator[Row]) -> int:
    """Write rows as JSON Lines; returns how many."""
    count = 0
    with path.open("wb") as file:
        for row in rows:
            count += 1
            file.write(json.dumps(row, separators=(",", ":")).encode() + b"\n")
    return count


def write_jsonl(parts: Parts, path: Path) -> None:
    """One JSON object a line for each expression; `m3att data check` reads it as a data set."""
    write_lines(path, rows_of(parts))


def write_coco(parts: Parts, path: Path) -> None:
    """A COCO json. Ids of images are numbers of lines, masks are run lengths, no object is a crowd."""
    images = (
        {"id": record["line"], "file_name": record["image"], "height": record["height"], "width": record["width"]}
        | ({"given_id": record["id"]} if "id" in record else {})
        for record in parts.records()
        if "predictions" in record
    )
    annotations = (coco_annotation(number, row) for number, row in enumerate(rows_of(parts), start=1))
    with path.open("w", encoding="utf-8") as file:
        file.write('{"info":{"description":"predictions of m3att"},"licenses":[],')
        file.write('"categories":[{"id":1,"name":"object"}]')
        for name, entries in (("images", images), ("annotations", annotations)):
            file.write(f',"{name}":[')
            for number, entry in enumerate(entries):
                file.write(("," if number else "") + "\n" + json.dumps(entry, separators=(",", ":")))
            file.write("]")
        file.write("}\n")


def coco_annotation(number: int, row: Row) -> Row:
    """An annotation of a COCO json, with the expression and the score beside COCO's own fields."""
    return {
        "id": number,  # from 1: COCOeval takes 0 for none
        "image_id": row["line"],
        "category_id": 1,
        "segmentation": row["segmentation"],
        "area": row["area"],
        "bbox": list(xywh(row["box"])),
        "iscrowd": 0,
        "score": row["score"],
        "expression": row["expression"],
    }


def write_parquet(parts: Parts, path: Path) -> None:
    """A Parquet table with a row an expression; masks are COCO's compressed counts as text."""
    pyarrow, parquet = (require(name, "tables", "--format parquet") for name in ("pyarrow", "pyarrow.parquet"))
    whole, text = pyarrow.int64(), pyarrow.string()
    schema = pyarrow.schema(
        [("line", whole), ("id", text), ("image", text), ("height", whole), ("width", whole), ("expression", text)]
        + [("score", pyarrow.float64()), ("area", whole)]
        + [(side, whole) for side in ("left", "top", "right", "bottom")]
        + [
            ("rle_counts", text),
            ("unknown_words", pyarrow.list_(text)),
            ("words_cut", whole),
            ("read_as", pyarrow.list_(text)),
        ]
    )
    rows = (table_row(row) for row in rows_of(parts))
    with parquet.ParquetWriter(path, schema) as writer:
        while group := list(islice(rows, ROWS_AT_ONCE)):
            writer.write_table(pyarrow.Table.from_pylist(group, schema=schema))


def utf8(text: str) -> str:
    """A text with question marks for what UTF-8 cannot hold."""
    return text.encode(errors="replace").decode()


def table_row(row: Row) -> Row:
    """A row for a table of plain columns; an `id` that is no text becomes its JSON.

    What UTF-8 cannot hold, such as some bytes in the name of a file, becomes a question mark.
    """
    left, top, right, bottom = row["box"] or (0, 0, 0, 0)
    given = row["id"]
    return row | {
        "id": given if given is None else utf8(given if isinstance(given, str) else json.dumps(given)),
        "image": utf8(row["image"]),
        "left": left, "top": top, "right": right, "bottom": bottom,
        "rle_counts": row["segmentation"]["counts"],
        "read_as": [f"{word} as {known}" for word, known in row.get("read_as", {}).items()],  # not in older parts
    }  # fmt: skip


WRITERS: dict[str, tuple[str, Callable[[Parts, Path], None]]] = {
    "jsonl": ("jsonl", write_jsonl),
    "coco": ("json", write_coco),
    "parquet": ("parquet", write_parquet),
    LABEL_STUDIO: ("label_studio.json", write_label_studio),
    "cvat": ("cvat.xml", write_cvat),
}
"""Kinds of results: the ending of the file, and what writes it."""
