"""Parts of the paper's figures; tests/app/test_report.py draws the figures themselves."""

from __future__ import annotations

import numpy as np

from m3att.overlay import BACKGROUND
from m3att.report.figures import PANEL, word_colours
from m3att.report.look import colour_of


def test_words_stand_in_their_colours_and_fill_as_many_lines_as_they_need() -> None:
    one, many = (np.asarray(word_colours(words)) for words in (["red"], ["red", "bird"] * 12))
    assert one.shape[1] == many.shape[1] == PANEL and many.shape[0] > 2 * one.shape[0]
    assert (one == colour_of(0)).all(axis=2).any() and not (one == colour_of(1)).all(axis=2).any()
    assert (many == colour_of(1)).all(axis=2).any()
    assert (many[:, -4:] == BACKGROUND).all()  # no word is cut off
