"""Many pictures side by side on one sheet."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from m3att.overlay import BACKGROUND, FAINT, TEXT, line_height, wrap, write_lines


def contact_sheet(
    panels: Sequence[tuple[Image.Image, str]],
    columns: int = 4,
    width: int = 320,
    title: str = "",
    notes: Sequence[str] = (),
) -> Image.Image:
    """Put pictures side by side, each with its caption beneath.

    Args:
        panels: pictures with captions.
        columns: panels in a row.
        width: of a panel, pixels; pictures are fitted into a square of that side.
        title: a line over all of them.
        notes: a fainter line under each caption, one a panel; none where empty.

    Returns:
        An RGB picture.

    Raises:
        ValueError: where there is no panel, or the notes are not as many as the panels.
    """
    if not panels:
        raise ValueError("a contact sheet needs at least one panel")
    if notes and len(notes) != len(panels):
        raise ValueError(f"{len(panels)} panels and {len(notes)} notes")
    columns = max(1, min(columns, len(panels)))
    gap = max(8, width // 20)
    font = ImageFont.load_default(max(12, width // 22))
    small = ImageFont.load_default(max(11, width // 25))
    heading = ImageFont.load_default(max(16, width // 14))
    sheet_width = columns * (width + gap) + gap
    title_lines = wrap(title, heading, sheet_width - 2 * gap, 2)
    cells = [
        (fit(picture, width), wrap(caption, font, width, 3), wrap(note, small, width, 2))
        for (picture, caption), note in zip(panels, notes or [""] * len(panels), strict=True)
    ]
    rows = [cells[start : start + columns] for start in range(0, len(cells), columns)]
    pictures = [max(picture.height for picture, _, _ in row) for row in rows]
    texts = [
        max(len(lines) * line_height(font) + len(more) * line_height(small) for _, lines, more in row) for row in rows
    ]
    top = gap + (len(title_lines) * line_height(heading) + gap // 2 if title_lines else 0)
    height = top + sum(pictures) + sum(texts) + (gap // 2 + gap) * len(rows)
    sheet = Image.new("RGB", (sheet_width, height), BACKGROUND)
    pen = ImageDraw.Draw(sheet)
    write_lines(pen, title_lines, (gap, gap), heading, TEXT)
    for row, tallest, text in zip(rows, pictures, texts, strict=True):
        for column, (picture, lines, more) in enumerate(row):
            left = gap + column * (width + gap)
            sheet.paste(picture, (left + (width - picture.width) // 2, top + tallest - picture.height))
            below = write_lines(pen, lines, (left, top + tallest + gap // 2), font, TEXT)
            write_lines(pen, more, (left, below), small, FAINT)
        top += tallest + text + gap // 2 + gap
    return sheet


def stack_sheets(sheets: Sequence[Image.Image]) -> Image.Image:
    """Sheets beneath each other, as wide as the widest.

    Raises:
        ValueError: where there is none.
    """
    if not sheets:
        raise ValueError("there is no sheet to stack")
    stacked = Image.new(
        "RGB", (max(sheet.width for sheet in sheets), sum(sheet.height for sheet in sheets)), BACKGROUND
    )
    top = 0
    for sheet in sheets:
        stacked.paste(sheet, (0, top))
        top += sheet.height
    return stacked


def fit(picture: Image.Image, side: int) -> Image.Image:
    """The picture in RGB, its longer side as given."""
    scale = side / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.convert("RGB").resize(size, Image.Resampling.LANCZOS)
