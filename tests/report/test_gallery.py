"""Contact sheets."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from m3att.report.gallery import contact_sheet, stack_sheets


def test_a_contact_sheet_holds_every_panel_in_its_place() -> None:
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (0, 255, 255)]
    panels = [(Image.new("RGB", (90, 60), colour), f"panel {number}") for number, colour in enumerate(colours)]
    sheet = np.asarray(contact_sheet(panels, columns=3, width=120, title="Right and wrong"))
    for number, colour in enumerate(colours):
        rows, columns = np.nonzero((sheet == colour).all(axis=2))
        assert (rows.max() - rows.min() + 1, columns.max() - columns.min() + 1) == (80, 120)
        assert (columns.mean() // (sheet.shape[1] / 3), number // 3) == (number % 3, int(rows.mean() > len(sheet) / 2))


def test_a_contact_sheet_fits_pictures_of_any_shape_and_mode() -> None:
    panels = [
        (Image.new("L", (1, 500)), ""),
        (Image.new("RGBA", (900, 3)), "long " * 200),
        (Image.new("1", (1, 1)), "ü"),
    ]
    assert contact_sheet(panels, columns=8, width=100).width < 8 * 100
    with pytest.raises(ValueError, match="panel"):
        contact_sheet([])


def test_notes_stand_under_the_captions() -> None:
    panels = [(Image.new("RGB", (60, 60)), "one")] * 2
    plain, noted = contact_sheet(panels, width=100), contact_sheet(panels, width=100, notes=["first", "second"])
    assert noted.width == plain.width
    assert noted.height > plain.height
    with pytest.raises(ValueError, match="2 panels and 1 notes"):
        contact_sheet(panels, notes=["first"])


def test_sheets_are_stacked_in_their_order() -> None:
    stacked = stack_sheets([Image.new("RGB", (5, 3), "red"), Image.new("RGB", (9, 4), "blue")])
    assert stacked.size == (9, 7)
    assert (stacked.getpixel((0, 2)), stacked.getpixel((8, 3))) == ((255, 0, 0), (0, 0, 255))
    with pytest.raises(ValueError, match="no sheet"):
        stack_sheets([])
