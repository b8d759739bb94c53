"""The bundled models that have an ONNX form: it is that of the weights beside it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from m3att.export.folder import describe
from m3att.model_folder import BUNDLED, DEFAULT_MODEL, ENCODER_GRAPH, GRAPHS, HEAD_GRAPH
from m3att.segmenter import Segmenter

NAMES = sorted(path.parent.name for path in BUNDLED.glob(f"*/{GRAPHS}"))


def test_the_default_model_starts_without_pytorch() -> None:
    assert DEFAULT_MODEL in NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_graphs_are_those_of_the_weights(name: str, repository: Path) -> None:
    """After a change of the model: m3att export NAME --in-place."""
    own = Segmenter.from_pretrained(name, "cpu", backend="pytorch")
    exported = Segmenter.from_pretrained(name, backend="onnx")
    assert json.loads((BUNDLED / name / GRAPHS).read_text()) == describe(own.pretrained) | {"int8": False}
    expressions = ["the person in yellow", "the ball"]
    picture = repository / "examples/scene.jpg"
    one, other = (segmenter.encode(picture).segment(expressions) for segmenter in (own, exported))
    for ours, theirs in zip(one, other, strict=True):
        assert (ours.mask != theirs.mask).mean() < 0.001
        np.testing.assert_allclose(theirs.score, ours.score, atol=1e-3)


def test_the_page_says_how_much_a_folder_grows(repository: Path) -> None:
    """Graphs in the folder of their weights read these, so that they hold little else."""
    page = " ".join((repository / "docs/onnx.md").read_text("utf-8").split())
    for name in NAMES:
        grown = sum((BUNDLED / name / part).stat().st_size for part in (ENCODER_GRAPH, HEAD_GRAPH, GRAPHS)) / 1e6
        assert grown < 1
        assert re.search(rf"`{name}`[^`]* by {grown:.1f} MB", page), (name, grown)
