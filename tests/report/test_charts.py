"""Charts that take the colours of their page."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from m3att.report.charts import line_chart, reliability_chart

pytest.importorskip("matplotlib")


def test_a_chart_is_one_named_element_without_addresses_or_colours_of_its_own() -> None:
    svg = line_chart(
        {"a <b>": ([1, 2, 3], [0.5, 0.25, 0.125]), "c": ([1, 2], [1.0, 2.0])}, "Loss & more", "step", "loss"
    )
    root = ElementTree.fromstring(svg.replace("xlink:href", "href"))
    assert (root.tag, root.get("role")) == ("svg", "img")
    assert root.get("aria-label") == "Loss & more: a <b> ends at 0.125, c ends at 2"
    assert "http" not in svg and "xmlns" not in svg and root.get("width") is None and root.get("viewBox")
    assert set(re.findall(r"#[0-9a-f]{6}", svg)) == set()
    assert {"var(--series-1)", "var(--series-2)", "var(--faint)"} <= set(re.findall(r"var\([\w-]+\)", svg))
    assert {"step", "loss", "a <b>", "c"} <= {text.text for text in root.iter("text")}


def test_the_same_chart_is_the_same_text_and_another_has_other_ids() -> None:
    first, again, other = (line_chart({"a": ([1, 2], [1, 2])}, title, "x", "y") for title in ("one", "one", "two"))
    assert first == again
    ids = [set(re.findall(r' id="([^"]+)"', svg)) for svg in (first, other)]
    assert ids[0] and not ids[0] & ids[1]


def test_a_reliability_diagram_has_a_bar_for_each_range_of_scores() -> None:
    bins = [
        {"from": low, "to": low + 0.1, "expressions": count, "score": low + 0.05, "mean_iou": iou, "over_half": 0.0}
        for low, count, iou in ((0.1, 1, 0.2), (0.8, 9, 0.9))
    ]
    svg = reliability_chart({"bins": bins, "expected_calibration_error": 0.123}, "tiny")
    assert "expected calibration error 12.3 per cent" in svg
    assert svg.count("fill: var(--series-1)") == 2
