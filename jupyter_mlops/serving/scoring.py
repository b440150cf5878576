"""The scoring server: MLflow's routes on loopback, behind one door that every request passes.

``GET /ping`` ``GET /health`` ``GET /version`` ``POST /invocations``, as ``mlflow models serve`` has
them.  What that server leaves open is closed here, in this order: the Host must be a loopback name
(a page in a browser that was rebound to 127.0.0.1 sends its own), the bearer token must be right on
every route and method but ``GET /ping``, a body has a size and a time, and what is scored at once
has a number.  The checks run when the headers are there, before a byte of the body is kept.

This is Tornado's HTTP/1.1 server without its web framework: there are no routes beside the door,
and a request costs a third of the CPU.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import re
import time
from collections import deque
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import responses
from typing import Any, Protocol

from tornado.http1connection import HTTP1Connection
from tornado.httpserver import HTTPServer
from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
)
from tornado.iostream import IOStream

from ..errors import UsageError
from .access_log import AccessLog
from .exchange import Exchange, error_body
from .payload import bad_input, show

__all__ = ["Limits", "Scorer", "Scoring", "ScoringServer"]

_log = logging.getLogger(__name__)
_HOST = re.compile(r"(?:127\.0\.0\.1|localhost|\[::1\])(?::\d{1,5})?", re.IGNORECASE)
_ROUTES = {
    "/ping": ("GET", "HEAD"),
    "/health": ("GET", "HEAD"),
    "/version": ("GET", "HEAD"),
    "/invocations": ("POST",),
}
_HEADER_LIMIT = 16 * 1024
# A request this small, of a model whose last ones took (in the median) less than these seconds, is
# scored on the event loop itself: handing it to a thread and back costs more than it takes.
_QUICK_BYTES = 8 * 1024
_QUICK_SECONDS = 0.002
_QUICK_SAMPLE = 16


# HTTP status, the answer's body, and the number of rows if there were any.
Scored = tuple[int, bytes, int | None]


class Scorer(Protocol):
    """What answers ``/invocations``: ``predictor.Predictor``."""

    def score_json(self, body: bytes) -> tuple[bytes, int]:
        """Return the response's body and the number of rows."""

    def score_csv(self, body: bytes) -> tuple[bytes, int]:
        """Return the response's body and the number of rows."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Caps of one server: bytes of a body, seconds for a request's headers and again for its body,
    requests scored at once (more are answered 503), and connections (more are closed).

    All bodies together may be four times the largest one.
    """

    body: int
    read_timeout: float
    concurrency: int
    connections: int = 512


class ScoringServer(HTTPServer):
    """Tornado's server with a cap on connections.

    The timeouts are ``Exchange``'s, one timer each: Tornado's own make a task and a future for the
    headers and again for the body, which costs more than the rest of reading a small request.
    """

    def initialize(self, app: Scoring) -> None:  # type: ignore[override]
        """Called by Tornado in place of ``__init__``."""
        super().initialize(app, max_header_size=_HEADER_LIMIT)
        self.conn_params.header_timeout = None
        self._app = app

    def handle_stream(self, stream: IOStream, address: tuple[Any, ...]) -> None:
        """Serve a connection, unless there are too many."""
        if len(self._connections) >= self._app.limits.connections:
            stream.close()
            return
        super().handle_stream(stream, address)

    async def drain(self, seconds: float) -> None:
        """Stop accepting, wait for the requests in hand, then close what is left."""
        self.stop()
        deadline = time.monotonic() + seconds
        while self._app.in_hand and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        await self.close_all_connections()


class Scoring(HTTPServerConnectionDelegate):
    """The routes.  ``version`` is the model's; ``protocol`` what ``/version`` answers."""

    def __init__(
        self,
        scorer: Scorer,
        *,
        token: str,
        version: int,
        protocol: str,
        limits: Limits,
        log: AccessLog,
        threads: int,
    ) -> None:
        self.scorer = scorer
        self.limits = limits
        self.log = log
        self.version = version
        self.protocol = protocol
        self.in_hand = 0
        self.scoring = 0
        self.buffered = 0
        self.pool = ThreadPoolExecutor(threads, thread_name_prefix="score")
        self._took: deque[float] = deque(maxlen=_QUICK_SAMPLE)
        self._token = token.encode()

    def start_request(
        self, server_conn: object, request_conn: HTTPConnection
    ) -> HTTPMessageDelegate:
        """Called by Tornado for each request."""
        assert isinstance(request_conn, HTTP1Connection)  # noqa: S101  Tornado makes no other.
        return Exchange(self, request_conn)

    def head(
        self, status: int, request_id: str, kind: str, length: int, extra: Mapping[str, str]
    ) -> bytes:
        """The head of an answer.  No value is a client's own but an id that was checked."""
        lines = [
            f"HTTP/1.1 {status} {responses.get(status, 'Unknown')}",
            f"Content-Type: {kind}",
            f"Content-Length: {length}",
            f"X-Request-Id: {request_id}",
            f"X-Model-Version: {self.version}",
            *(f"{name}: {value}" for name, value in extra.items()),
        ]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")

    def admit(self, method: str, path: str, headers: HTTPHeaders) -> None:
        """Let a request in, or raise the answer that it gets instead."""
        if _HOST.fullmatch(headers.get("Host", "")) is None:
            raise bad_input(
                f"Host {show(headers.get('Host', ''))} is not this machine",
                status=403,
                code="PERMISSION_DENIED",
            )
        if not (path == "/ping" and method in _ROUTES[path]):
            scheme, _, token = headers.get("Authorization", "").partition(" ")
            right = hmac.compare_digest(token.strip().encode("utf-8", "replace"), self._token)
            if scheme.lower() != "bearer" or not right:
                raise bad_input(
                    "send the deployment's token: Authorization: Bearer ...",
                    status=401,
                    code="UNAUTHENTICATED",
                )
        if path not in _ROUTES:
            raise bad_input(f"no route {show(path)}", status=404, code="ENDPOINT_NOT_FOUND")
        if method not in _ROUTES[path]:
            raise bad_input(f"{path} takes {' and '.join(_ROUTES[path])}", status=405)

    def methods(self, path: str) -> tuple[str, ...]:
        """The methods that a path takes."""
        return _ROUTES.get(path, ())

    def is_quick(self, body: bytes) -> bool:
        """Whether a request may be scored on the event loop, going by the last small ones."""
        if len(body) > _QUICK_BYTES or len(self._took) < _QUICK_SAMPLE:
            return False
        return sorted(self._took)[_QUICK_SAMPLE // 2] < _QUICK_SECONDS

    def score(self, request_id: str, kind: str, body: bytes) -> Scored:
        """Score a body; called in a thread of the pool, or on the loop where that is quick."""
        try:
            call = self.scorer.score_json if kind == "json" else self.scorer.score_csv
            began = time.perf_counter()
            answer, rows = call(body)
            if len(body) <= _QUICK_BYTES:
                self._took.append(time.perf_counter() - began)
            return 200, answer, rows
        except UsageError as error:
            if "status" in error.fields:
                return error.fields["status"], error_body(error), None
            failure: Exception = error
        except Exception as error:
            failure = error
        # Paths and values of the server stay in its log.
        _log.error("request %s: the model failed", request_id, exc_info=failure)
        told = bad_input(
            f"the model failed on this request; the server's log has the cause ({request_id})",
            status=500,
            code="INTERNAL_ERROR",
        )
        return 500, error_body(told), None
