"""Tables IV and V of the paper as values, with measured models beside them.

Table IV mixes two figures under the name IoU: the rows with Darknet-53 report mean IoU, those with Swin overall IoU. So
a measured row has both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

COLUMNS: Mapping[tuple[str, str | None, str], str] = {
    ("refclef", "berkeley", "test"): "ReferIt test",
    ("refcoco", "unc", "val"): "RefCOCO val",
    ("refcoco", "unc", "testA"): "RefCOCO test A",
    ("refcoco", "unc", "testB"): "RefCOCO test B",
    ("refcoco+", "unc", "val"): "RefCOCO+ val",
    ("refcoco+", "unc", "testA"): "RefCOCO+ test A",
    ("refcoco+", "unc", "testB"): "RefCOCO+ test B",
    ("refcocog", "umd", "val"): "G-Ref val",
    ("refcocog", "umd", "test"): "G-Ref test",
    ("refcocog", "google", "val"): "G-Ref val (Google)",
}
"""Columns of Table IV by data set, who made the split, and split."""
_TABLE_4 = """
DMN|DPN92|SRU|52.81 49.78 54.83 45.13 38.88 44.22 32.29 - - 36.76
RRN|DL-101|LSTM|63.63 55.33 57.26 53.93 39.75 42.15 36.11 - - 36.45
MAttNet|M-RCN|LSTM|- 56.51 62.37 51.70 46.67 52.39 40.08 47.64 48.61 -
CMSA|DL-101|-|63.80 58.32 60.61 55.09 43.76 47.60 37.89 - - 39.98
CAC|R-101|LSTM|- 58.90 61.77 53.81 - - - 46.37 46.95 44.32
STEP|DL-101|LSTM|64.13 60.04 63.46 57.97 48.19 52.33 40.41 - - 46.40
BRINet|DL-101|LSTM|63.46 60.98 62.99 59.21 48.17 52.32 42.11 - - 48.04
CMPC|DL-101|LSTM|65.53 61.36 64.53 59.64 49.56 53.44 43.23 - - 39.98
LSCM|DL-101|LSTM|66.57 61.47 64.99 59.55 49.34 53.12 43.50 - - 48.05
MCN|DN-53|GRU|- 62.44 64.20 59.71 50.62 54.99 44.69 49.22 49.40 -
CMPC+|DL-101|LSTM|65.58 62.47 65.08 60.82 50.25 54.04 43.47 - - 49.89
EFN|R-101|GRU|- 62.76 65.69 59.67 51.50 55.24 43.01 - - 51.93
BUSNet|DL-101|S-Att.|- 63.27 66.41 61.39 51.76 56.87 44.13 - - 50.56
CGAN|DL-101|GRU|- 64.86 68.04 62.07 51.03 55.51 44.06 51.01 51.69 46.54
ISFP|DN-53|GRU|- 65.19 68.45 62.73 52.70 56.77 46.39 52.67 53.00 50.08
LTS|DN-53|GRU|- 65.43 67.76 63.08 54.21 58.32 48.02 54.40 54.25 -
VLT|DN-53|GRU|- 65.65 68.29 62.73 55.50 59.20 49.36 52.99 56.65 49.76
Ours (CNN)|DN-53|GRU|69.33 67.88 70.82 65.02 56.98 61.26 50.11 54.79 58.21 50.96
ReSTR|ViT-B|Transf.|70.18 67.22 69.30 64.45 55.78 60.44 48.27 - - 54.48
CRIS|CLIP|CLIP|- 70.47 73.18 66.10 62.27 68.08 53.68 59.87 60.36 -
LAVT|Swin-B|BERT|- 72.73 75.82 68.79 62.14 68.38 55.10 61.24 62.09 60.50
VLT+|Swin-B|BERT|- 72.96 75.96 69.60 63.53 68.43 56.92 63.49 66.22 62.80
Ours (Swin)|Swin-B|BERT|72.97 73.60 76.23 70.36 65.34 70.50 56.98 64.92 67.37 63.90
"""
_TABLE_5 = """
LSCM|70.84 63.82 53.67 38.69 12.06
CMPC|71.27 64.44 55.03 39.28 12.89
MCN|76.60 70.33 58.39 33.68 5.26
LTS|75.16 69.51 60.74 45.17 14.41
VLT|76.20 - - - -
Ours|79.01 74.94 68.16 51.21 17.70
"""
BOUNDS = ("0.5", "0.6", "0.7", "0.8", "0.9")
NOTHING = "-"


class PaperRow(NamedTuple):
    """A row of Table IV.

    Args:
        method: its name.
        vision: its vision encoder, by the paper's short name.
        language: its language encoder likewise.
        cells: per cent as the paper prints them, one a column.
    """

    method: str
    vision: str
    language: str
    cells: tuple[str, ...]


def _paper_row(line: str) -> PaperRow:
    method, vision, language, cells = line.split("|")
    return PaperRow(method, vision, language, tuple(cells.split()))


TABLE_4 = tuple(map(_paper_row, _TABLE_4.strip().splitlines()))
TABLE_5 = {name: tuple(cells.split()) for name, cells in (line.split("|") for line in _TABLE_5.strip().splitlines())}


def column_of(scores: Mapping[str, Any]) -> str | None:
    """The column of Table IV that was scored; None where the paper has none for these data.

    Args:
        scores: of `Scores.to_dict`.
    """
    return COLUMNS.get((scores["dataset"], scores.get("split_by"), scores["split"]))


class TableView(NamedTuple):
    """A table to be shown.

    Args:
        title: its caption.
        heads: of the columns.
        rows: cells of the paper's rows, as many as heads.
        measured: cells of the measured rows.
        notes: a sentence each.
    """

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    measured: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]


def table_4(measured: Sequence[tuple[str, Sequence[Mapping[str, Any]]]]) -> TableView:
    """Table IV with models beneath.

    Args:
        measured: name of each model, and what it scored on some splits (`Scores.to_dict`).
    """
    every = tuple(COLUMNS.values())
    rows = [(row.method, row.vision, row.language, *row.cells) for row in TABLE_4]
    own = []
    for name, found in measured:
        of_column = {column_of(scores): scores for scores in found}
        cells = [_both(of_column[column]) if column in of_column else NOTHING for column in every]
        if any(cell != NOTHING for cell in cells):
            own.append((name, NOTHING, NOTHING, *cells))
    notes = ["Per cent, as the paper prints them. Measured rows: overall IoU / mean IoU."]
    if not own:
        notes.append("None of the models of this report was scored on a split of this table.")
    kinds = {str(scores["pixels"]) for _, found in measured for scores in found if column_of(scores)} - {"photos"}
    if kinds:
        notes.append(f"The measured rows saw {' and '.join(sorted(kinds))} in place of the photos: not comparable.")
    heads = ("method", "vision", "language", *every)
    return TableView("Table IV: IoU of the state of the art", heads, tuple(rows), tuple(own), tuple(notes))


def table_5(measured: Sequence[tuple[str, Sequence[Mapping[str, Any]]]]) -> TableView:
    """Table V with models beneath, whatever they were scored on.

    Args:
        measured: see `table_4`.
    """
    rows = [(name, "RefCOCO val", *cells) for name, cells in TABLE_5.items()]
    own = []
    for name, found in measured:
        for scores in found:
            cells = (f"{100 * scores['precision'][at]:.2f}" if at in scores["precision"] else NOTHING for at in BOUNDS)
            own.append((name, column_of(scores) or f"{scores['dataset']} {scores['split']}", *cells))
    heads = ("model", "scored on", *(f"Pr@{at}" for at in BOUNDS))
    notes = ("Per cent. Figures on different data cannot be compared.",)
    return TableView("Table V: precision", heads, tuple(rows), tuple(own), notes)


def _both(scores: Mapping[str, Any]) -> str:
    return f"{100 * scores['overall_iou']:.2f} / {100 * scores['mean_iou']:.2f}"
