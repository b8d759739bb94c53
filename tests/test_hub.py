"""A model as a folder and on the Hub, through the Hub's own client and a server of its protocol on this machine."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from huggingface_hub import ModelCard, constants

from m3att import Segmenter
from m3att.calibration import Calibration
from m3att.config import DataConfig
from m3att.errors import DataError, ModelError
from m3att.hub import portable, write_card
from m3att.pretrained import load_model

IMAGE = np.random.default_rng(0).integers(0, 256, (24, 30, 3), dtype=np.uint8)
MAN = "the man in red"
SHA = "a" * 40


@pytest.fixture(scope="module")
def segmenter(tiny_model_folder: Path) -> Segmenter:
    return Segmenter.from_pretrained(tiny_model_folder, device="cpu")


@pytest.fixture
def scores(segmenter: Segmenter, tmp_path: Path) -> Path:
    """As `m3att evaluate --json` writes them."""
    values = {
        "overall_iou": 0.58123, "mean_iou": 0.615, "precision": {"0.5": 0.669}, "expressions": 1234,
        "dataset": "refcoco", "split": "val", "pixels": "layout", "protocol": "original", "threshold": 0.35,
        "weights_sha256": segmenter.pretrained.weights_sha256(),
    }  # fmt: skip
    path = tmp_path / "scores.json"
    path.write_text(json.dumps(values))
    return path


def same(one: Segmenter, other: Segmenter) -> bool:
    first, second = (each.encode(IMAGE).segment(MAN)[0].mask_logits for each in (one, other))
    return np.array_equal(first, second)


def test_a_saved_model_is_the_model(segmenter: Segmenter, tmp_path: Path) -> None:
    segmenter.save_pretrained(tmp_path / "deep" / "model")
    again = Segmenter.from_pretrained(tmp_path / "deep" / "model", device="cpu")
    assert same(segmenter, again)
    assert (again.world, again.threshold) == (segmenter.world, segmenter.threshold)


def test_a_saved_model_keeps_its_calibration(segmenter: Segmenter, tmp_path: Path) -> None:
    calibration = Calibration(-0.5, (1.0, 0.5, -0.25, 0.125), 90, 20, 9)
    Segmenter(replace(segmenter.pretrained, calibration=calibration)).save_pretrained(tmp_path)
    assert load_model(tmp_path).calibration == calibration
    assert "calibration" not in json.loads((segmenter.pretrained.folder / "config.json").read_text("utf-8"))


def test_the_card_states_data_protocol_figures_and_licence(segmenter: Segmenter, scores: Path, tmp_path: Path) -> None:
    segmenter.save_pretrained(tmp_path / "model", [scores], license="cc-by-4.0")
    card = ModelCard.load(tmp_path / "model" / "README.md")
    data = card.data.to_dict()
    assert (data["license"], data["library_name"], data["pipeline_tag"]) == ("cc-by-4.0", "m3att", "image-segmentation")
    (model,) = data["model-index"]
    metrics = {metric["type"]: metric["value"] for result in model["results"] for metric in result["metrics"]}
    assert metrics == {"overall_iou": 0.5812, "mean_iou": 0.615, "precision_0.5": 0.669}
    assert {result["dataset"]["split"] for result in model["results"]} == {"val"}
    assert "| refcoco val, layout | original | 0.35 | 1234 | 58.1 | 61.5 | 66.9 |" in card.text
    for words in ("data set: shaperef", "a world of its own", "vision encoder: tiny", "The weights: `cc-by-4.0`"):
        assert words in card.text
    code = re.search(r"```python\n(.*?)```", card.text, re.DOTALL)
    assert code is not None
    compile(code[1], "README.md", "exec")


def test_a_card_without_scores_says_so(segmenter: Segmenter) -> None:
    card = ModelCard(write_card(segmenter.pretrained, [], None))
    assert "has not been scored" in card.text and "is not stated" in card.text
    assert "license" not in card.data.to_dict() and "model-index" not in card.data.to_dict()
    assert "apache-2.0" in write_card(replace(segmenter.pretrained, name="x"), [], "apache-2.0")


def test_a_bundled_model_keeps_its_licence(tmp_path: Path) -> None:
    Segmenter.from_pretrained("shaperef-tiny", "cpu").save_pretrained(tmp_path)
    assert ModelCard.load(tmp_path / "README.md").data.license == "apache-2.0"


def test_figures_of_another_model_are_refused(segmenter: Segmenter, scores: Path, tmp_path: Path) -> None:
    values = json.loads(scores.read_text())
    for content, message in (
        (json.dumps(values | {"weights_sha256": "b" * 64}), "other weights"),
        (json.dumps({"mean_iou": 1}), "not a file of m3att evaluate"),
        ("[]", "not a file of m3att evaluate"),
        ("{", "not a file of m3att evaluate"),
    ):
        scores.write_text(content)
        with pytest.raises(DataError, match=message):
            segmenter.save_pretrained(tmp_path / "model", [scores])
    with pytest.raises(DataError, match="cannot be read"):
        segmenter.save_pretrained(tmp_path / "model", [tmp_path / "nowhere.json"])
    assert not (tmp_path / "model").exists()


def test_no_folder_of_this_machine_is_shared(segmenter: Segmenter, tmp_path: Path) -> None:
    data = DataConfig(
        "/home/anna/data",
        image_root="/home/anna/photos",
        cutouts=("/home/anna/cut.json",),
        beside=("b",),
        old=("/home/anna/c",),
    )
    assert portable(data) == DataConfig(cutouts=("cut.json",), beside=("b",), old=("c",))
    config = replace(segmenter.pretrained.config, data=data)
    Segmenter(replace(segmenter.pretrained, config=config)).save_pretrained(tmp_path)
    for name in ("config.json", "README.md"):
        assert "anna" not in (tmp_path / name).read_text(encoding="utf-8")
    assert load_model(tmp_path).config.data.cutouts == ("cut.json",)


def test_a_folder_that_cannot_be_written_is_named(segmenter: Segmenter, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ModelError, match="file"):
        segmenter.save_pretrained(tmp_path / "file" / "model")


@dataclass
class Hub:
    """What a client sent to the server."""

    files: dict[str, bytes] = field(default_factory=dict)
    created: list[dict[str, Any]] = field(default_factory=list)
    tokens: set[str | None] = field(default_factory=set)
    refuses: bool = False


def handler_of(hub: Hub) -> type[BaseHTTPRequestHandler]:
    """The parts of the Hub's protocol that an upload and a download need."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args: Any) -> None:
            pass

        def answer(self, content: bytes, code: int = 200, **headers: str) -> None:
            self.send_response(code)
            for name, value in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            hub.tokens.add(self.headers.get("Authorization"))
            root = f"http://{self.headers['Host']}"
            if hub.refuses:
                self.answer(b'{"error": "you may not"}', 403)
            elif self.path == "/api/repos/create":
                hub.created.append(json.loads(body))
                self.answer(json.dumps({"url": f"{root}/owner/name", "id": "1", "name": "owner/name"}).encode())
            elif self.path == "/api/validate-yaml":
                self.answer(b'{"errors": [], "warnings": []}')
            elif "/preupload/" in self.path:
                asked = [entry["path"] for entry in json.loads(body)["files"]]
                found = [{"path": path, "uploadMode": "regular", "shouldIgnore": False} for path in asked]
                self.answer(json.dumps({"files": found}).encode())
            elif "/commit/" in self.path:
                for line in body.splitlines():
                    entry = json.loads(line)
                    if entry["key"] == "file":
                        hub.files[entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
                commit = {"commitUrl": f"{root}/owner/name/commit/{SHA}", "commitOid": SHA}
                self.answer(json.dumps(commit).encode())
            else:
                self.answer(b"", 404)

        def do_GET(self) -> None:
            if self.path.startswith("/api/models/owner/name"):
                siblings = [{"rfilename": name} for name in hub.files]
                info = {"id": "owner/name", "modelId": "owner/name", "sha": SHA, "siblings": siblings, "private": False,
                        "tags": [], "downloads": 0, "likes": 0}  # fmt: skip
                tree = [
                    {"type": "file", "path": name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
                    for name, content in hub.files.items()
                ]
                self.answer(
                    json.dumps(tree if "/tree/" in self.path else info).encode(), Content_Type="application/json"
                )
                return
            content = hub.files.get(self.path.rpartition("/")[2].partition("?")[0])
            if content is None:
                self.answer(b"", 404, X_Error_Code="EntryNotFound")
            else:
                etag = hashlib.sha1(content).hexdigest()
                self.answer(content, ETag=f'"{etag}"', X_Repo_Commit=SHA, Accept_Ranges="none")

        do_HEAD = do_GET

    return Handler


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(hub))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    yield hub
    server.shutdown()


def test_a_model_goes_to_the_hub_and_comes_back(hub: Hub, segmenter: Segmenter, scores: Path) -> None:
    address = segmenter.push_to_hub("owner/name", [scores], license="mit", private=True, token="hf_secret")
    assert address.endswith(f"/owner/name/commit/{SHA}")
    assert set(hub.files) == {"README.md", "config.json", "model.safetensors", "tokenizer.json"}
    assert hub.tokens == {"Bearer hf_secret"}
    (created,) = hub.created
    assert (created["organization"], created["name"]) == ("owner", "name") and "private" in json.dumps(created)
    again = Segmenter.from_pretrained("owner/name", device="cpu")
    assert same(segmenter, again)
    assert all(
        torch.equal(*pair) for pair in zip(segmenter.network.parameters(), again.network.parameters(), strict=True)
    )


def test_a_refusal_of_the_hub_is_one_line(hub: Hub, segmenter: Segmenter, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.refuses = True
    with pytest.raises(ModelError, match="owner/name: the Hub did not take the model") as caught:
        segmenter.push_to_hub("owner/name", token="hf_secret")
    assert len(str(caught.value).splitlines()) == 1
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:1")
    for repository in ("owner/name", "not a name", "a/b/c"):
        with pytest.raises(ModelError, match=repository):
            segmenter.push_to_hub(repository, token="hf_secret")
