"""Requests and answers of httpx that are made once and filled: one anew takes longer than to send or read it."""

from __future__ import annotations

import functools
from typing import Any, Final, Self

import httpx

from .http1 import Answered


class Ready(httpx.Request):
    """A request whose head has been written, to be filled with one body after another."""

    head: bytes
    body: bytes

    @classmethod
    def made(cls, method: str, url: httpx.URL, headers: httpx.Headers) -> Self:
        """One without its body, whose length the headers name."""
        ready = cls(method, url, headers=headers)
        fields = b"".join([b"%b: %b\r\n" % pair for pair in ready.headers.raw])
        ready.head = b"%b %b HTTP/1.1\r\n%b\r\n" % (ready.method.encode(), url.raw_path, fields)
        return ready

    def filled(self, body: bytes, extensions: dict[str, Any]) -> Self:
        """A copy with its body."""
        filled = object.__new__(type(self))
        filled.__dict__.update(self.__dict__, body=body, stream=httpx.ByteStream(body), extensions=extensions)
        return filled


class Complete(httpx.Response):
    """An answer that has been read to its end. Its headers are sorted once somebody asks for them."""

    answered: Answered

    @functools.cached_property
    def headers(self) -> httpx.Headers:  # type: ignore[override]
        return httpx.Headers(self.answered.headers)

    @classmethod
    def of(cls, answered: Answered) -> Self:
        """The answer."""
        complete = object.__new__(cls)
        complete.__dict__.update(_OF_EVERY_ANSWER, status_code=answered.status, answered=answered, extensions={})
        complete.stream = httpx.ByteStream(answered.body)
        return complete


_OF_EVERY_ANSWER: Final = vars(httpx.Response(200, stream=httpx.ByteStream(b"")))
del _OF_EVERY_ANSWER["headers"]
