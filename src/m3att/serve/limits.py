"""What a request may take, and the answer to each request that is refused."""

from __future__ import annotations

from dataclasses import dataclass

STATUS = {
    "bad_request": 400,
    "too_many_expressions": 400,
    "bad_token": 401,
    "not_found": 404,
    "unknown_model": 404,
    "unknown_image": 404,
    "method_not_allowed": 405,
    "too_many_bytes": 413,
    "not_an_image": 415,
    "wrong_host": 421,
    "too_many_pixels": 422,
    "queue_full": 429,
    "failed": 500,
    "no_worker": 503,
    "out_of_time": 504,
}
"""HTTP status of each refusal. Each of the five limits has a status of its own."""


@dataclass(frozen=True)
class Limits:
    """What one request may take, and all of them together.

    Args:
        megabytes: of an image file.
        megapixels: of an image.
        expressions: of one request.
        queue: requests that may be read, wait or run at the same time.
        seconds: from the first byte of a request to its answer.
        cache: megabytes of encoded images that each worker keeps, and of uploaded files that the service keeps.
    """

    megabytes: float = 20.0
    megapixels: float = 50.0
    expressions: int = 64
    queue: int = 64
    seconds: float = 30.0
    cache: float = 256.0

    @property
    def image_bytes(self) -> int:
        """Most bytes of an image file."""
        return round(self.megabytes * 1e6)

    @property
    def body_bytes(self) -> int:
        """Most bytes of a request: base64 takes a third more than the file, and the expressions need room too."""
        return self.image_bytes * 4 // 3 + 300_000

    @property
    def pixels(self) -> int:
        """Most pixels of an image."""
        return round(self.megapixels * 1e6)

    @property
    def cache_bytes(self) -> int:
        """Bytes of one cache."""
        return round(self.cache * 1e6)


class Refusal(Exception):
    """A request that is not answered as it wanted.

    Args:
        code: a key of `STATUS`, for programs.
        message: one line for people.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code, self.message = code, message

    @property
    def status(self) -> int:
        """The HTTP status."""
        return STATUS[self.code]

    @property
    def body(self) -> dict[str, dict[str, str]]:
        """The JSON that is answered."""
        return {"error": {"code": self.code, "message": self.message}}

    @property
    def headers(self) -> dict[str, str]:
        """When to try again, and how to say who one is."""
        if self.code in ("queue_full", "no_worker"):
            return {"Retry-After": "1"}
        return {"WWW-Authenticate": "Bearer"} if self.code == "bad_token" else {}
