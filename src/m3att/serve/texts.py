"""Reads the texts of requests as UTF-8, and refuses what is none.

Starlette reads a form's field that is no UTF-8 as Latin-1, without a word. The model would then look for other words
than those that were sent.
"""

from __future__ import annotations

import codecs
from collections.abc import Awaitable, Callable
from email.message import Message
from typing import Any

from fastapi import HTTPException, Request, Response
from fastapi.routing import APIRoute
from starlette.datastructures import FormData


class TextRoute(APIRoute):
    """A path whose requests are read as `TextRequest`."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        """See APIRoute."""
        handle = super().get_route_handler()

        async def handler(request: Request) -> Response:
            return await handle(TextRequest(request.scope, request.receive))

        return handler


class TextRequest(Request):
    """A request whose JSON, and whose form's names and values, are texts in the encoding that they should have."""

    _read: FormData | None = None

    async def form(self, **limits: Any) -> FormData:  # type: ignore[override]
        """The form; files in it stay as they are.

        Args:
            limits: see Starlette.

        Raises:
            HTTPException: of status 400, where a text is not in the encoding that the request states, or UTF-8.
        """
        if self._read is None:
            stated = Message()
            stated["content-type"] = self.headers.get("content-type", "")
            charset = stated.get_content_charset("utf-8")
            try:
                codecs.lookup(charset)
            except LookupError:
                raise HTTPException(400, "Content-Type: states a charset that does not exist; send UTF-8") from None
            stated.set_param("charset", "latin-1")  # in which each byte is a letter, so that all bytes come through
            headers = [pair for pair in self.scope["headers"] if pair[0] != b"content-type"]
            headers.append((b"content-type", str(stated["content-type"]).encode("latin-1")))
            form = await Request({**self.scope, "headers": headers}, self.receive).form(**limits)
            if stated.get_content_type() == "multipart/form-data":
                named = [(decoded(name, charset, "the name of a field"), value) for name, value in form.multi_items()]
                form = FormData([
                    (name, decoded(value, charset, name) if isinstance(value, str) else value) for name, value in named
                ])  # fmt: skip
            self._read = form
        return self._read

    async def json(self) -> Any:
        """The JSON.

        Raises:
            HTTPException: of status 400, where it is not UTF-8.
        """
        try:
            return await super().json()
        except UnicodeDecodeError:
            raise HTTPException(400, "the request: it is not UTF-8") from None


def decoded(text: str, charset: str, what: str) -> str:
    """A text that was read as Latin-1, in its true encoding.

    Args:
        text: as it was read.
        charset: the encoding.
        what: the text is, for the message.

    Raises:
        HTTPException: of status 400, where it is not in this encoding.
    """
    try:
        return text.encode("latin-1").decode(charset)
    except UnicodeDecodeError:
        raise HTTPException(400, f"{what[:40]}: is not {charset.upper()}; send it in UTF-8") from None
