"""What stands before every request: token, host, limits of bytes, queue and time, safe headers, and the count."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any

from m3att.serve.limits import Limits, Refusal

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
PATHS = ("/", "/healthz", "/metrics", "/openapi.json")
READ_IN_VAIN = 5.0
"""Seconds for which the rest of a refused request is read, so that the client comes to read the answer."""


class Guard:
    """Middleware around the application.

    Args:
        app: the application.
        limits: of requests.
        token: without it, requests to the service are refused; None: no token is needed.
        hosts: names under which the service may be called; empty: any. So no other site can reach a service on this
            machine by a name of its own that leads here.
        observe: gets path, status and seconds of each request.
    """

    def __init__(
        self,
        app: App,
        limits: Limits,
        token: str | None,
        hosts: tuple[str, ...],
        observe: Callable[[str, int, float], None],
    ) -> None:
        self.app, self.limits, self.token, self.hosts, self.observe = app, limits, token, hosts, observe
        self.busy = 0

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Let a request through, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.monotonic()
        exchange = Exchange(receive, send, self.limits)
        try:
            refusal = self.refuse(scope)
            if refusal is not None:
                await exchange.refuse(refusal)
            elif scope["method"] == "POST":
                await self.work(scope, exchange)
            else:
                await self.app(scope, exchange.receive, exchange.send)
        finally:
            self.observe(label(scope["path"]), exchange.status or 500, time.monotonic() - started)

    async def work(self, scope: MutableMapping[str, Any], exchange: Exchange) -> None:
        """A request that takes a place in the queue and must end in time."""
        self.busy += 1
        try:
            await asyncio.wait_for(self.app(scope, exchange.receive, exchange.send), self.limits.seconds)
        except asyncio.TimeoutError:
            message = f"no answer within {self.limits.seconds:g} seconds; ask for less, or try again later"
            await exchange.refuse(Refusal("out_of_time", message), drain=False)
        finally:
            self.busy -= 1
        if exchange.over:
            await exchange.refuse(too_large(self.limits))

    def refuse(self, scope: MutableMapping[str, Any]) -> Refusal | None:
        """Why a request is refused before it is read; None where it is not."""
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        if self.hosts and host_of(headers.get("host", "")) not in self.hosts:
            return Refusal("wrong_host", f"this service answers to {', '.join(self.hosts)} only")
        path = scope["path"]
        if self.token is not None and (path.startswith("/v1/") or path == "/metrics"):
            scheme, _, given = headers.get("authorization", "").strip().partition(" ")
            given = given.strip() if scheme.lower() == "bearer" else ""
            if not secrets.compare_digest(given.encode(), self.token.encode()):
                return Refusal("bad_token", "give the token of this service: Authorization: Bearer TOKEN")
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > self.limits.body_bytes:
            return too_large(self.limits)
        if scope["method"] == "POST" and self.busy >= self.limits.queue:
            return Refusal("queue_full", f"{self.busy} requests are being answered; try again in a second")
        return None


class Exchange:
    """One request and its answer.

    Args:
        receive: gives the request.
        send: takes the answer.
        limits: of bytes.
    """

    def __init__(self, receive: Receive, send: Send, limits: Limits) -> None:
        self._receive, self._send, self.limits = receive, send, limits
        self.read, self.over, self.complete = 0, False, False
        self.status: int | None = None

    async def receive(self) -> Message:
        """The next part of the request.

        Raises:
            Refusal: where it has become too large. The application may make another error of it; see `send`.
        """
        message = await self._receive()
        self.read += len(message.get("body", b""))
        self.complete = not message.get("more_body", False)
        if self.read > self.limits.body_bytes:
            self.over = True
            raise too_large(self.limits)
        return message

    async def send(self, message: Message) -> None:
        """The next part of the answer; nothing where the request was too large, which the guard answers."""
        if self.over and self.status is None:
            return
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", ()), *encoded(HEADERS)]
        await self._send(message)

    async def refuse(self, refusal: Refusal, drain: bool = True) -> None:
        """Answer with a refusal, unless an answer has begun.

        Args:
            refusal: why.
            drain: read the rest of the request first. A client that still sends would not see the answer.
        """
        if self.status is not None:
            return
        if drain:
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self.drain(), READ_IN_VAIN)
        self.status = refusal.status
        body = json.dumps(refusal.body).encode()
        headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), **refusal.headers, **HEADERS}
        await self._send({"type": "http.response.start", "status": refusal.status, "headers": encoded(headers)})
        await self._send({"type": "http.response.body", "body": body})

    async def drain(self) -> None:
        """Read the rest of the request and keep nothing of it; at most four times what is allowed."""
        while not self.complete and self.read <= 4 * self.limits.body_bytes:
            message = await self._receive()
            self.read += len(message.get("body", b""))
            self.complete = not message.get("more_body", False)


def too_large(limits: Limits) -> Refusal:
    """The refusal of too many bytes."""
    return Refusal("too_many_bytes", f"an image file may have at most {limits.megabytes:g} MB; shrink it first")


def label(path: str) -> str:
    """The path as it is counted; all that do not exist are one."""
    if path.startswith("/static/"):
        return "/static"
    return path if path in PATHS or path in API_PATHS else "other"


API_PATHS = ("/v1/service", "/v1/images", "/v1/segment", "/v1/segment/upload", "/v1/attention")


def host_of(header: str) -> str:
    """The name in a Host header, without its port."""
    name = header[: header.find("]") + 1] if header.startswith("[") else header.partition(":")[0]
    return name.lower()


def encoded(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    """Headers as ASGI takes them."""
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
