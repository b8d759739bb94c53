"""Many pictures side by side on one sheet."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from m3att.overlay import BACKGROUND, TEXT, line_height, wrap, write_lines


def contact_sheet(
    panels: Sequence[tuple[Image.Image, str]], columns: int = 4, width: int = 320, title: str = ""
) -> Image.Image:
    """Put pictures side by side, each with its caption beneath.

    Args:
        panels: pictures with captions.
        columns: panels in a row.
        width: of a panel, pixels; pictures are fitted into a square of that side.
        title: a line over all of them.

    Returns:
        An RGB picture.

    Raises:
        ValueError: where there is no panel.
    """
    if not panels:
        raise ValueError("a contact sheet needs at least one panel")
    columns = max(1, min(columns, len(panels)))
    gap = max(8, width // 20)
    font = ImageFont.load_default(max(12, width // 22))
    heading = ImageFont.load_default(max(16, width // 14))
    sheet_width = columns * (width + gap) + gap
    title_lines = wrap(title, heading, sheet_width - 2 * gap, 2)
    cells = [(fit(picture, width), wrap(caption, font, width, 3)) for picture, caption in panels]
    rows = [cells[start : start + columns] for start in range(0, len(cells), columns)]
    heights = [
        max(picture.height for picture, _ in row) + gap // 2 + max(len(lines) for _, lines in row) * line_height(font)
        for row in rows
    ]
    top = gap + (len(title_lines) * line_height(heading) + gap // 2 if title_lines else 0)
    sheet = Image.new("RGB", (sheet_width, top + sum(heights) + gap * len(rows)), BACKGROUND)
    pen = ImageDraw.Draw(sheet)
    write_lines(pen, title_lines, (gap, gap), heading, TEXT)
    for row, height in zip(rows, heights, strict=True):
        tallest = max(picture.height for picture, _ in row)
        for column, (picture, lines) in enumerate(row):
            left = gap + column * (width + gap)
            sheet.paste(picture, (left + (width - picture.width) // 2, top + (tallest - picture.height) // 2))
            write_lines(pen, lines, (left, top + tallest + gap // 2), font, TEXT)
        top += height + gap
    return sheet


def fit(picture: Image.Image, side: int) -> Image.Image:
    """The picture in RGB, its longer side as given."""
    scale = side / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.convert("RGB").resize(size, Image.Resampling.LANCZOS)
