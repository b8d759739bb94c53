"""The service by ONNX Runtime: the masks of the service by PyTorch, for both forms that an export writes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from m3att.export.folder import export_model

from .running import Server, picture_file, serving

WORDS = ("the man in red", "the dog that is not black", "a cat on the left")
PICTURES = (picture_file(150, 200), picture_file(231, 121, seed=7, form="JPEG"))


@pytest.fixture(scope="module")
def exported(tiny_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same model as a folder of its own, and beside its weights."""
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    made = tmp_path_factory.mktemp("exported")
    folders = {"apart": made / "apart", "inside": made / "inside"}
    shutil.copytree(tiny_model_folder, folders["inside"])
    export_model(tiny_model_folder, folders["apart"])
    export_model(folders["inside"], None)
    return folders


@pytest.fixture(scope="module")
def exported_server(exported: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    models = " ".join(f"{name}={folder}" for name, folder in exported.items())
    with serving(f"--backend onnx --model {models}", tmp_path_factory.mktemp("serve-onnx") / "log") as running:
        yield running


def masks(server: Server, model: str, picture: bytes) -> tuple[NDArray[np.bool_], list[float]]:
    """The masks (N, H, W) of the expressions of these tests, and their scores."""
    data = {"expressions": list(WORDS), "model": model, "forms": ["rle"]}
    answer = httpx.post(f"{server.address}/v1/segment/upload", files={"image": picture}, data=data, timeout=180)
    assert answer.status_code == 200, answer.text
    results = answer.json()["results"]
    return np.stack([coco_mask.decode(one["rle"]) for one in results]).astype(bool), [one["score"] for one in results]


@pytest.mark.parametrize("form", ["apart", "inside"])
def test_masks_are_those_of_pytorch(server: Server, exported_server: Server, form: str) -> None:
    for picture in PICTURES:
        expected_NHW, scores = masks(server, "tiny", picture)
        found_NHW, found_scores = masks(exported_server, form, picture)
        assert found_NHW.shape == expected_NHW.shape
        assert 0 < expected_NHW.mean() < 1  # masks with an inside and an outside
        for found_HW, expected_HW in zip(found_NHW, expected_NHW, strict=True):
            assert (found_HW != expected_HW).mean() < 0.001
        assert found_scores == pytest.approx(scores, abs=1e-3)


def test_the_workers_load_no_pytorch(exported_server: Server) -> None:
    for worker in exported_server.workers():
        assert "libtorch" not in Path(f"/proc/{worker}/maps").read_text()


def test_attention_is_refused_and_no_model_offers_it(exported_server: Server) -> None:
    """The graphs give masks and no attention."""
    told = httpx.get(f"{exported_server.address}/v1/service").json()["models"]
    assert [(one["name"], one["attention"]) for one in told] == [("apart", False), ("inside", False)]
    sent = httpx.post(f"{exported_server.address}/v1/images", files={"image": PICTURES[0]}, timeout=180).json()
    request = {"image_id": sent["id"], "expression": WORDS[0]}
    answer = httpx.post(f"{exported_server.address}/v1/attention", json=request, timeout=180)
    assert answer.status_code == 400 and answer.json()["error"]["code"] == "bad_request"
    assert "use the backend pytorch" in answer.json()["error"]["message"]
