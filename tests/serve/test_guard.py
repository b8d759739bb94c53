"""What the guard lets through, around an application that only says how much it was sent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from m3att.serve.guard import Guard, host_of
from m3att.serve.limits import STATUS, Limits, Refusal

LIMITS = Limits(megabytes=0.1, queue=2, seconds=0.2)


class Counted:
    """Answers with the bytes of the request; waits first where the path says so."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        read = 0
        try:
            while True:
                message = await receive()
                read += len(message.get("body", b""))
                if not message.get("more_body"):
                    break
        except Refusal:
            read = -1  # as FastAPI makes an error of its own of every error while a form is read
        if scope["path"] == "/v1/slow":
            await asyncio.sleep(5)
        await send({"type": "http.response.start", "status": 400 if read < 0 else 200, "headers": []})
        await send({"type": "http.response.body", "body": str(read).encode()})


def guard(**options: Any) -> tuple[Guard, list[tuple[str, int]]]:
    seen: list[tuple[str, int]] = []
    options = {"token": None, "hosts": (), "limits": LIMITS, **options}
    return Guard(Counted(), observe=lambda path, status, _: seen.append((path, status)), **options), seen


async def call(
    app: Guard, path: str = "/v1/segment", parts: tuple[bytes, ...] = (b"",), method: str = "POST", **headers: str
) -> tuple[int, Any, dict[str, str]]:
    waiting, sent = list(parts), []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": waiting.pop(0), "more_body": bool(waiting)}

    async def send(message: Any) -> None:
        sent.append(message)

    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    await app({"type": "http", "method": method, "path": path, "headers": named}, receive, send)
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    told = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    assert told["x-content-type-options"] == "nosniff"
    return sent[0]["status"], json.loads(sent[1]["body"]), told


def run(call_: Callable[[], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        return await call_()

    return asyncio.run(main())


def test_a_request_within_the_limits_passes() -> None:
    app, seen = guard()
    assert run(lambda: call(app, parts=(b"12", b"345")))[:2] == (200, 5)
    assert seen == [("/v1/segment", 200)] and app.busy == 0


@pytest.mark.parametrize("told", [{}, {"content_length": "500000"}])
def test_too_many_bytes_are_refused_told_or_not(told: dict[str, str]) -> None:
    app, seen = guard()
    status, body, _ = run(lambda: call(app, parts=(b"x" * 250_000, b"x" * 250_000), **told))
    assert (status, body["error"]["code"]) == (413, "too_many_bytes")
    assert seen == [("/v1/segment", 413)] and app.busy == 0


def test_what_takes_too_long_is_ended() -> None:
    app, _ = guard()
    status, body, _ = run(lambda: call(app, "/v1/slow"))
    assert (status, body["error"]["code"]) == (504, "out_of_time") and app.busy == 0


def test_a_full_queue_refuses_work_and_still_tells_its_health() -> None:
    app, seen = guard()

    async def many() -> list[Any]:
        slow = [asyncio.create_task(call(app, "/v1/slow")) for _ in range(2)]
        await asyncio.sleep(0.05)
        refused = await call(app, parts=(b"x" * 100, b"y" * 100))
        healthy = await call(app, "/healthz", method="GET")
        return [refused, healthy, *[(await one)[0] for one in slow]]

    refused, healthy, *slow = run(many)
    assert refused[0] == 429 and refused[2]["retry-after"] == "1"
    assert healthy[0] == 200 and slow == [504, 504]
    assert ("/healthz", 200) in seen


def test_the_token_opens_the_service() -> None:
    app, _ = guard(token="s3cret")
    for header in ({}, {"authorization": "Bearer wrong"}, {"authorization": "s3cret"}, {"authorization": "Bearer "}):
        status, body, told = run(lambda header=header: call(app, **header))  # type: ignore[misc]
        assert (status, body["error"]["code"], told["www-authenticate"]) == (401, "bad_token", "Bearer")
    for scheme in ("Bearer", "bearer", "BEARER "):  # HTTP takes the name of a scheme in any case
        assert run(lambda scheme=scheme: call(app, authorization=f"{scheme} s3cret"))[0] == 200  # type: ignore[misc]
    assert run(lambda: call(app, "/metrics", method="GET"))[0] == 401
    assert run(lambda: call(app, "/healthz", method="GET"))[0] == 200


@pytest.mark.parametrize(
    ("header", "name"), [("localhost:80", "localhost"), ("[::1]:80", "[::1]"), ("A.b", "a.b"), ("", "")]
)
def test_the_name_in_a_host_header(header: str, name: str) -> None:
    assert host_of(header) == name


def test_only_own_hosts_are_served() -> None:
    app, _ = guard(hosts=("localhost",))
    assert run(lambda: call(app, host="localhost:7860"))[0] == 200
    assert run(lambda: call(app, host="evil.example"))[0] == STATUS["wrong_host"]
    assert run(lambda: call(app))[0] == STATUS["wrong_host"]


def test_unknown_paths_are_counted_as_one() -> None:
    app, seen = guard()
    for path in ("/a", "/b", "/static/main.js"):
        run(lambda path=path: call(app, path, method="GET"))  # type: ignore[misc]
    assert seen == [("other", 200), ("other", 200), ("/static", 200)]
