"""The JSON service as a process, from outside."""

from __future__ import annotations

import base64
import concurrent.futures
import hashlib
import os
import signal
import socket
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx2 as httpx
import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from m3att import Segmenter
from m3att.data.images import decode_image
from m3att.serve.limits import STATUS
from m3att.serve.schemas import SegmentResponse

from .running import Server, picture_file

WORDS = ("the man in red", "the dog that is not black")


@pytest.fixture(scope="module")
def client(server: Server) -> httpx.Client:
    return httpx.Client(base_url=server.address, timeout=180)


def upload(client: httpx.Client, content: bytes, *expressions: str, **fields: Any) -> httpx.Response:
    data = {"expressions": list(expressions), "model": "tiny", **fields}
    return client.post("/v1/segment/upload", files={"image": ("photo", content)}, data=data)


def figure(client: httpx.Client, name: str) -> float:
    lines = client.get("/metrics").text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.split(" ")[0].split("{")[0] == name)


def refusal(response: httpx.Response) -> tuple[int, str]:
    error = response.json()["error"]
    assert error.keys() == {"code", "message"} and "\n" not in error["message"] and len(error["message"]) < 500
    assert STATUS[error["code"]] == response.status_code
    return response.status_code, error["code"]


def test_masks_are_those_of_the_python_interface_in_every_form(client: httpx.Client, tiny_model_folder: Path) -> None:
    content = picture_file()
    scene = Segmenter.from_pretrained(tiny_model_folder, "cpu").encode(content)
    answer = upload(client, content, *WORDS, forms=["rle", "polygons", "png"])
    assert answer.status_code == 200
    read = SegmentResponse.model_validate(answer.json())
    assert (read.image.width, read.image.height, read.image.id) == (60, 40, hashlib.sha256(content).hexdigest())
    assert [result.expression for result in read.results] == list(WORDS)
    for result, expected in zip(read.results, scene.segment(WORDS), strict=True):
        assert result.rle is not None and result.polygons is not None and result.png is not None
        assert result.area == expected.area > 0 and result.score == pytest.approx(expected.score, abs=1e-6)
        assert (coco_mask.decode(result.rle.model_dump()).astype(bool) == expected.mask).all()
        pictured = decode_image(base64.b64decode(result.png), "mask")
        assert ((pictured[..., 0] == 255) == expected.mask).all()
        inside = np.zeros((40, 60), dtype=np.int64)  # shoelace: outer outlines less holes have the mask's area
        areas = [
            abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2 * sign
            for part in result.polygons
            for sign, ring in [(1, part.outer), *((-1, hole) for hole in part.holes)]
            for x, y in [(np.array(ring[::2]), np.array(ring[1::2]))]
        ]
        assert sum(areas) == expected.area and inside.size == 2400


def test_an_image_is_encoded_once_however_it_is_sent(client: httpx.Client) -> None:
    content = picture_file(seed=1)
    before = figure(client, "m3att_cache_misses_total")
    sent = client.post("/v1/images", files={"image": ("photo", content)}, data={"model": "tiny"}).json()
    assert not sent["cached"]
    request = {"expressions": [WORDS[0]], "model": "tiny"}
    text = base64.b64encode(content).decode()
    answers = [
        client.post("/v1/segment", json={**request, "image_id": sent["id"]}),
        client.post("/v1/segment", json={**request, "image": text}),
        client.post("/v1/segment", json={**request, "image": f"data:image/png;base64,{text}"}),
        upload(client, content, WORDS[0]),
    ]
    assert [answer.status_code for answer in answers] == [200] * 4
    assert len({answer.text for answer in answers}) == 1 and answers[0].json()["image"]["cached"]
    assert figure(client, "m3att_cache_misses_total") == before + 1


def test_an_unreadable_expression_costs_no_other(client: httpx.Client) -> None:
    first, second = upload(client, picture_file(), "zyx", WORDS[0]).json()["results"]
    assert "none of its words" in first["error"] and first["rle"] is None and first["score"] is None
    assert second["error"] is None and second["area"] > 0
    (result,) = upload(client, picture_file(), "zyx the man").json()["results"]
    assert result["unknown_words"] == ["zyx"] and result["error"] is None


def test_each_limit_has_a_status_of_its_own(client: httpx.Client) -> None:
    noise = os.urandom(300_001)
    assert refusal(upload(client, noise, "a cat")) == (413, "too_many_bytes")
    assert refusal(upload(client, noise + noise, "a cat")) == (413, "too_many_bytes")  # told before it is read
    text = base64.b64encode(noise).decode()
    assert refusal(client.post("/v1/segment", json={"image": text, "expressions": ["a"]})) == (413, "too_many_bytes")
    assert refusal(upload(client, picture_file(500, 601), "a cat")) == (422, "too_many_pixels")
    assert refusal(upload(client, picture_file(), *["a cat"] * 6)) == (400, "too_many_expressions")
    assert refusal(upload(client, b"no picture", "a cat")) == (415, "not_an_image")


@pytest.mark.parametrize(
    ("path", "request_", "expected"),
    [
        ("/v1/segment", {"expressions": ["a"]}, (400, "bad_request")),
        ("/v1/segment", {"image": "%%%", "expressions": ["a"]}, (400, "bad_request")),
        ("/v1/segment", {"image": "AAAA", "image_id": "0" * 64, "expressions": ["a"]}, (400, "bad_request")),
        ("/v1/segment", {"image_id": "0" * 64, "expressions": ["a"]}, (404, "unknown_image")),
        ("/v1/segment", {"image": "AAAA", "expressions": ["a"], "model": "../../etc"}, (404, "unknown_model")),
        ("/v1/segment", {"image": "AAAA", "expressions": []}, (400, "bad_request")),
        ("/v1/segment", {"image": "AAAA", "expressions": ["a"], "threshold": 1}, (400, "bad_request")),
        ("/v1/segment", {"image": "AAAA", "expressions": ["a"], "treshold": 0.5}, (400, "bad_request")),
        ("/v1/segment", "no object", (400, "bad_request")),
        ("/v1/nothing", {}, (404, "not_found")),
        ("/v1/service", {}, (405, "method_not_allowed")),
    ],
)
def test_bad_requests_are_told_why(client: httpx.Client, path: str, request_: Any, expected: tuple[int, str]) -> None:
    assert refusal(client.post(path, json=request_)) == expected


@pytest.mark.parametrize(
    "raw", ['{"image": "AAAA", "expressions": ["\\ud800"]}', '{"\\ud800": 1, "expressions": ["a"]}', "[" * 100_000]
)
def test_odd_json_is_no_fault_of_the_service(client: httpx.Client, raw: str) -> None:
    answer = client.post("/v1/segment", content=raw, headers={"Content-Type": "application/json"})
    assert refusal(answer) == (400, "bad_request")


@pytest.mark.parametrize(
    ("path", "fields", "message"),
    [
        (
            "/v1/segment/upload",
            {"expressions": "a cat", "treshold": "0.2"},
            "no such field: 'treshold'; there are image, ",
        ),
        ("/v1/segment/upload", {"expression": "a cat"}, "no such field: 'expression'; there are image, "),
        ("/v1/segment/upload", {"expressions": "a cat", "model": ["tiny", "photo"]}, "model: give it once"),
        (
            "/v1/segment/upload?threshold=0.2",
            {"expressions": "a cat"},
            "what stands behind the ? of the address is not ",
        ),
        ("/v1/segment?threshold=0.2", {}, "what stands behind the ? of the address is not read; put it into the body"),
        ("/v1/images", {"threshold": "0.2"}, "no such field: 'threshold'; there are image, model"),
    ],
)
def test_no_field_is_lost_in_silence(client: httpx.Client, path: str, fields: dict[str, Any], message: str) -> None:
    answer = client.post(path, files={"image": ("photo", picture_file())}, data=fields)
    assert refusal(answer) == (400, "bad_request") and answer.json()["error"]["message"].startswith(message)


def multipart(*fields: tuple[bytes, bytes]) -> bytes:
    """A form with an image; a field is its name and its value."""
    parts = [b'name="image"; filename="p.png"\r\n\r\n' + picture_file()]
    parts += [b'name="%s"\r\n\r\n%s' % field for field in fields]
    return b"".join(b"--x\r\nContent-Disposition: form-data; " + part + b"\r\n" for part in parts) + b"--x--\r\n"


@pytest.mark.parametrize(
    ("kind", "body", "message"),
    [
        ("multipart/form-data; boundary=x", multipart((b"expressions", b"the caf\xe9")), "expressions: is not UTF-8"),
        ("multipart/form-data; boundary=x", multipart((b"model", b"\xff")), "model: is not UTF-8; send it in UTF-8"),
        ("multipart/form-data; boundary=x", multipart((b"\xe9", b"1")), "the name of a field: is not UTF-8"),
        ("multipart/form-data; boundary=x; charset=no", multipart((b"expressions", b"a")), "Content-Type: states a"),
        ("multipart/form-data; boundary=x; charset=ascii", multipart((b"expressions", b"\xc3\xa9")), "is not ASCII"),
    ],
)
def test_a_form_that_is_not_utf_8_is_refused(client: httpx.Client, kind: str, body: bytes, message: str) -> None:
    """Read as Latin-1, it would ask for other words than those that were sent."""
    answer = client.post("/v1/segment/upload", content=body, headers={"Content-Type": kind})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, "bad_request")
    assert message in error["message"] and "\n" not in error["message"]


@pytest.mark.parametrize(
    ("charset", "coded"), [("", "der M\u00fcller".encode()), ("; charset=latin-1", "der M\u00fcller".encode("latin-1"))]
)
def test_a_form_is_read_in_its_encoding(client: httpx.Client, charset: str, coded: bytes) -> None:
    body = multipart((b"expressions", b"the man"), (b"expressions", coded))
    kind = f"multipart/form-data; boundary=x{charset}"
    answer = client.post("/v1/segment/upload", content=body, headers={"Content-Type": kind})
    assert [result["expression"] for result in answer.json()["results"]] == ["the man", "der M\u00fcller"]


def test_json_that_is_not_utf_8_is_refused(client: httpx.Client) -> None:
    body = b'{"image": "", "expressions": ["the caf\xe9"]}'
    answer = client.post("/v1/segment", content=body, headers={"Content-Type": "application/json"})
    expected = {"error": {"code": "bad_request", "message": "the request: it is not UTF-8"}}
    assert (answer.status_code, answer.json()) == (400, expected)


def test_messages_name_what_is_wrong(client: httpx.Client) -> None:
    told = [
        client.post("/v1/segment", content=b"hello", headers={"Content-Type": "application/json"}),
        client.post("/v1/segment", content=b"", headers={"Content-Type": "application/json"}),
        client.post("/v1/segment", json=["a cat"]),
        client.post("/v1/segment/upload", files={"expressions": (None, "a cat"), "image": (None, "no file")}),
    ]
    messages = [answer.json()["error"]["message"] for answer in told]
    assert messages == [
        "the request: it is not JSON",
        "the request: it is empty; send a JSON object",
        "the request: it is JSON, but not a JSON object with the fields of the request",
        "image: send it as a file",
    ]


def test_a_body_of_the_wrong_kind_is_told_so_and_not_that_its_fields_are_missing(client: httpx.Client) -> None:
    """`curl -d` sends JSON as application/x-www-form-urlencoded unless a header says otherwise."""
    fields, file = {"image": "", "expressions": ["a cat"]}, {"image": ("photo", picture_file())}
    urlencoded = {"Content-Type": "application/x-www-form-urlencoded"}
    told = [
        *(
            client.post(f"/v1/{path}", content=b'{"image": ""}', headers=urlencoded)
            for path in ("segment", "attention")
        ),
        client.post("/v1/segment", files=file, data=fields),
        *(client.post(f"/v1/{path}", json=fields) for path in ("segment/upload", "images")),
    ]
    assert [refusal(answer) for answer in told] == [(400, "bad_request")] * 5
    messages = [answer.json()["error"]["message"] for answer in told]
    as_json = "the request: send JSON, with the header Content-Type: application/json"
    assert messages == [as_json] * 3 + ["the request: send a form with the file, as multipart/form-data"] * 2


@pytest.mark.parametrize(
    "path", ["/static/../app.py", "/static/..%2fapp.py", "/static//etc/passwd", "/static/%2e%2e/app.py"]
)
def test_no_file_of_the_machine_can_be_read(server: Server, path: str) -> None:
    host, _, port = server.address.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port))) as plain:  # httpx would tidy the path
        plain.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: plain.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 404") and b"import" not in answer and b"root:" not in answer


def test_answers_name_no_folder_and_other_names_of_the_host_are_refused(
    client: httpx.Client, tiny_model_folder: Path
) -> None:
    told = client.get("/v1/service")
    assert [model["name"] for model in told.json()["models"]] == ["shaperef-tiny", "tiny"]
    assert str(tiny_model_folder.parent) not in told.text
    assert refusal(client.get("/v1/service", headers={"Host": "rebound.example"})) == (421, "wrong_host")
    assert "script-src" not in told.headers["content-security-policy"]  # default-src 'self' holds for scripts
    assert told.headers["content-security-policy"].startswith("default-src 'self'")


def test_where_the_words_look(client: httpx.Client) -> None:
    request = {"image": base64.b64encode(picture_file()).decode(), "expression": "the man in red", "model": "tiny"}
    told = client.post("/v1/attention", json=request).json()
    assert told["words"] == ["the", "man", "in", "red"] and (told["layer"], told["layers"]) == (1, 2)
    assert np.sum(told["lav"], axis=1) == pytest.approx(1, abs=1e-2)
    assert np.sum([*told["val"], told["padding"]], axis=0) == pytest.approx(1, abs=1e-3)
    assert len(told["lav"][0]) == told["rows"] * told["columns"]
    # 60 x 40 pixels letterboxed in a square: the whole width, two thirds of the height, in the middle.
    region = told["region"]
    assert region["left"] == 0 and region["width"] == told["columns"]
    assert region["top"] + region["height"] / 2 == pytest.approx(told["rows"] / 2, abs=0.15)  # half a pixel
    other = client.post("/v1/attention", json={**request, "layer": 0}).json()
    assert other["lav"] != told["lav"]
    assert refusal(client.post("/v1/attention", json={**request, "layer": 2})) == (400, "bad_request")


def test_many_at_once_and_a_killed_worker_cost_nobody_an_answer(client: httpx.Client, server: Server) -> None:
    contents = [picture_file(seed=seed) for seed in range(10, 14)]
    expected = [upload(client, content, *WORDS).json()["results"] for content in contents]
    (worker,) = server.workers()
    with concurrent.futures.ThreadPoolExecutor(12) as threads:
        waiting = [threads.submit(upload, client, contents[n % 4], *WORDS) for n in range(12)]
        os.kill(worker, signal.SIGKILL)
        answers = [one.result() for one in waiting]
    assert {answer.status_code for answer in answers} == {200}
    for number, answer in enumerate(answers):  # in another batch, sums are rounded otherwise
        for result, before in zip(answer.json()["results"], expected[number % 4], strict=True):
            assert result["expression"] == before["expression"]
            assert result["score"] == pytest.approx(before["score"], abs=1e-4)
            assert result["area"] == pytest.approx(before["area"], abs=3)
    assert server.workers() != [worker]
    assert figure(client, "m3att_worker_restarts_total") == 1
    assert client.get("/healthz").json() == {"status": "ok", "workers": 1}


def test_a_full_queue_says_so(client: httpx.Client) -> None:
    slow = picture_file(480, 600, seed=3, form="JPEG")

    def ask(number: int) -> httpx.Response:
        return upload(client, slow + bytes([number]), "the red ball", "the blue bird", model="shaperef-tiny")

    with concurrent.futures.ThreadPoolExecutor(40) as threads:
        answers = list(threads.map(ask, range(40)))
    assert {answer.status_code for answer in answers} == {200, 429}
    assert {answer.headers["retry-after"] for answer in answers if answer.status_code == 429} == {"1"}
    assert figure(client, "m3att_tasks_total") > figure(client, "m3att_batches_total")  # several went together
    assert client.get("/healthz").status_code == 200


def test_a_turned_photo_is_upright(client: httpx.Client) -> None:
    file, exif = BytesIO(), Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (30, 20), "red").save(file, format="JPEG", exif=exif)
    sent = client.post("/v1/images", files={"image": ("photo", file.getvalue())}, data={"model": "tiny"}).json()
    assert (sent["width"], sent["height"]) == (20, 30)


def test_the_document_describes_every_path(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    paths = {"/healthz", "/metrics", "/v1/service", "/v1/images", "/v1/segment", "/v1/segment/upload", "/v1/attention"}
    assert document["paths"].keys() == paths
    assert {"400", "413", "415", "422", "429", "504"} <= document["paths"]["/v1/segment"]["post"]["responses"].keys()
