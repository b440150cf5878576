"""One request and its answer: admitted or refused by its headers, read within limits.

Tornado calls ``headers_received``, ``data_received`` for each piece of the body, and ``finish``; or
``on_connection_close`` when the client has gone.  All of it runs on the event loop.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from tornado.http1connection import HTTP1Connection
from tornado.httputil import (
    HTTPHeaders,
    HTTPMessageDelegate,
    RequestStartLine,
    ResponseStartLine,
)

from ..errors import UsageError
from .payload import bad_input, content_type

if TYPE_CHECKING:
    from .scoring import Scored, Scoring

__all__ = ["Exchange", "error_body"]

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_NOTHING: Mapping[str, str] = {}
# A refused body up to this size is read and dropped, so that the connection lives on; the answer
# to a larger one is sent at once, and this much more is read before hanging up on it: a client
# that only sends would otherwise get a reset in place of the answer.
_DRAIN = 1024 * 1024
_LINGER = 64 * 1024 * 1024


class Exchange(HTTPMessageDelegate):
    """What ``Scoring`` has in hand of one connection."""

    def __init__(self, app: Scoring, connection: HTTP1Connection) -> None:
        self._app = app
        self._connection = connection
        self._chunks: list[bytes] = []
        self._size = 0
        self._refusal: UsageError | None = None
        self._answered = False
        self._open = False
        self._kind = "json"
        self._work: asyncio.Future[Scored] | None = None
        # For the headers, the wait for them on a kept connection included.
        self._timer = self._hang_up_after(app.limits.read_timeout)

    # --- called by Tornado -----------------------------------------------------------------------

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> None:
        """Let the request in or refuse it, before its body is read."""
        assert isinstance(start_line, RequestStartLine)  # noqa: S101  This is a server.
        self._timer.cancel()
        self._timer = self._hang_up_after(self._app.limits.read_timeout)  # for the body
        self._started = time.perf_counter()
        self._open = True
        self._app.in_hand += 1
        self._method, self._path = start_line.method, start_line.path.partition("?")[0]
        self._last = headers.get("Connection", "").lower() == "close"
        given = headers.get("X-Request-Id", "")
        self._id = given if _REQUEST_ID.fullmatch(given) else os.urandom(8).hex()
        # Tornado's own limit answers 400 and hangs up; ours is enforced here and below.
        self._connection.set_max_body_size(1 << 62)
        length = headers.get("Content-Length", "0").partition(",")[0]
        size = int(length) if length.isdecimal() and len(length) < 19 else 0
        try:
            self._app.admit(self._method, self._path, headers)
            if self._method == "POST":
                self._kind = content_type(headers.get("Content-Type"))
            self._check_size(size)
        except UsageError as error:
            self._refusal = error
            if headers.get("Expect") == "100-continue":
                self._answer_refusal()
                self._connection.finish()
            elif size > _DRAIN:
                self._answer_refusal()

    def data_received(self, chunk: bytes) -> None:
        """Keep a piece of the body, or drop it when the request has been refused."""
        self._size += len(chunk)
        if self._refusal is None:
            self._chunks.append(chunk)
            self._app.buffered += len(chunk)
            try:
                self._check_size(self._size)
            except UsageError as error:
                self._refusal = error
                self._release()
                self._answer_refusal()
        elif self._size > _LINGER:
            if not self._answered:
                self._answer_refusal()
            self._connection.finish()  # Tornado hangs up, since the body is not at its end.
        elif self._size > _DRAIN and not self._answered:
            self._answer_refusal()

    def finish(self) -> None:
        """Answer: the request is there."""
        self._timer.cancel()
        if self._refusal is not None:
            if not self._answered:
                self._answer_refusal()
            self._connection.finish()
        elif self._path == "/invocations":
            self._invoke()
        elif self._path == "/version":
            self._answer(200, self._app.protocol.encode(), "text/plain; charset=UTF-8")
            self._connection.finish()
        else:
            self._answer(200, b"\n", "application/json")
            self._connection.finish()

    def on_connection_close(self) -> None:
        """Give up what nobody waits for any more."""
        self._timer.cancel()
        if self._work is not None:
            self._work.cancel()  # Takes it out of the queue, if no thread has begun on it.
        self._release()
        self._close()

    # --- reading ----------------------------------------------------------------------------------

    def _check_size(self, size: int) -> None:
        limits = self._app.limits
        if size > limits.body:
            raise bad_input(
                f"the body is larger than {limits.body} bytes",
                status=413,
                code="REQUEST_LIMIT_EXCEEDED",
            )
        if self._app.buffered > 4 * limits.body:
            raise _busy()

    def _release(self) -> None:
        if self._chunks:
            self._app.buffered -= sum(map(len, self._chunks))
            self._chunks = []

    # --- answering --------------------------------------------------------------------------------

    def _invoke(self) -> None:
        app = self._app
        if app.scoring >= app.limits.concurrency:
            self._refusal = _busy()
            self._release()
            self._answer_refusal()
            self._connection.finish()
            return
        body = b"".join(self._chunks)
        if app.is_quick(body):
            self._release()
            self._answer_scored(app.score(self._id, self._kind, body))
            return
        app.scoring += 1
        loop = asyncio.get_running_loop()
        self._work = loop.run_in_executor(app.pool, app.score, self._id, self._kind, body)
        self._connection.set_close_callback(self.on_connection_close)
        self._work.add_done_callback(self._from_thread)

    def _from_thread(self, work: asyncio.Future[Scored]) -> None:
        self._app.scoring -= 1
        self._release()
        if work.cancelled() or not self._open:
            return
        self._connection.set_close_callback(None)
        self._answer_scored(work.result())

    def _answer_scored(self, scored: Scored) -> None:
        status, body, rows = scored
        self._answer(status, body, "application/json", rows=rows)
        self._connection.finish()

    def _answer_refusal(self) -> None:
        assert self._refusal is not None  # noqa: S101  Callers have one.
        status = self._refusal.fields["status"]
        extra: Mapping[str, str] = {
            401: {"WWW-Authenticate": "Bearer"},
            405: {"Allow": ", ".join(self._app.methods(self._path))},
            503: {"Retry-After": "1"},
        }.get(status, _NOTHING)
        self._answer(status, error_body(self._refusal), "application/json", extra)

    def _answer(
        self,
        status: int,
        body: bytes,
        kind: str,
        extra: Mapping[str, str] = _NOTHING,
        *,
        rows: int | None = None,
    ) -> None:
        self._answered = True
        if self._last:
            extra = {**extra, "Connection": "close"}
        head = self._app.head(status, self._id, kind, len(body), extra)
        # Tornado takes a head as bytes, too: making one of its headers costs as much as reading
        # a request's.
        written = self._connection.write(head if self._method == "HEAD" else head + body)
        if not written.done():
            # A client need not read a large answer as fast as it must send, but it must read.
            timer = self._hang_up_after(6 * self._app.limits.read_timeout)
            written.add_done_callback(lambda _: self._sent(timer))
        if not (self._path == "/ping" and status == 200):
            self._app.log.write(
                time=round(time.time(), 3),
                id=self._id,
                method=self._method[:20],
                path=self._path[:200],
                status=status,
                ms=round((time.perf_counter() - self._started) * 1000, 3),
                rows=rows,
                version=self._app.version,
            )
        if written.done():
            self._close()  # Else it is in hand until it is sent.

    def _sent(self, timer: asyncio.TimerHandle) -> None:
        timer.cancel()
        self._close()

    def _hang_up_after(self, seconds: float) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(seconds, self._connection.stream.close)

    def _close(self) -> None:
        if self._open:
            self._open = False
            self._app.in_hand -= 1


def _busy() -> UsageError:
    return bad_input("the server is busy; try again", status=503, code="TEMPORARILY_UNAVAILABLE")


def error_body(error: UsageError) -> bytes:
    """An error as MLflow's server sends it."""
    return json.dumps({"error_code": error.fields["error_code"], "message": str(error)}).encode()
