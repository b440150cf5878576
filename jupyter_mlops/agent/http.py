"""The agent's requests: HTTP + JSON, version 1.

::

    GET  /v1/hello                                     who is there
    GET  /v1/status                                    what it is doing
    POST /v1/deliver  {"interpreter": PATH}            202: look for runs to deliver
    POST /v1/wake     {}                               202: look at schedules and deployments
    POST /v1/call     {"op", "args", "interpreter"?, "timeout"?}   {"result": ...}
    POST /v1/warm     {"interpreter", "modules", "env", "afresh"?}   202: import ahead for kernels
    POST /v1/runner   {"interpreter", "env", "afresh"?}   202: import ahead for runs
    POST /v1/shutdown {"drain": true}                  202: end, finishing what is in hand

Every route checks who asks: over a Unix socket the peer must be this user, over TCP the request
must carry the token and name this machine as its host (a web page that rebinds its name cannot).
Errors are ``MlopsError.to_dict()`` with the status that fits.
"""

from __future__ import annotations

import hmac
import json
import os
import socket
import struct
from typing import TYPE_CHECKING, Any, TypeGuard

from tornado import web

from ..errors import (
    ConflictError,
    GateRefusedError,
    MlopsError,
    NotFoundError,
    ReplayDiffersError,
    RunError,
    ServiceError,
    UntrustedError,
    UsageError,
)
from .door import Door

if TYPE_CHECKING:
    from .supervisor import Agent

__all__ = ["application"]

_STATUSES: tuple[tuple[type[MlopsError], int], ...] = (
    (NotFoundError, 404),
    (ConflictError, 409),
    (GateRefusedError, 409),
    (ReplayDiffersError, 409),
    (UntrustedError, 403),
    (UsageError, 400),
    (RunError, 422),
    (ServiceError, 503),
)
_LONGEST_CALL = 24 * 3600.0


def application(agent: Agent, door: Door) -> web.Application:
    """The routes of one agent behind one door."""
    shared = {"agent": agent, "door": door}
    return web.Application(
        [
            ("/v1/hello", _Hello, shared),
            ("/v1/status", _Status, shared),
            ("/v1/deliver", _Deliver, shared),
            ("/v1/wake", _Wake, shared),
            ("/v1/call", _Call, shared),
            ("/v1/warm", _Warm, shared),
            ("/v1/runner", _Runner, shared),
            ("/v1/shutdown", _Shutdown, shared),
        ],
        default_handler_class=_Unknown,
        default_handler_args=shared,
        serve_traceback=False,
    )


class _Handler(web.RequestHandler):
    agent: Agent
    door: Door

    def initialize(self, agent: Agent, door: Door) -> None:
        self.agent, self.door = agent, door

    def set_default_headers(self) -> None:
        self.set_header("Content-Type", "application/json")
        self.clear_header("Server")

    def prepare(self) -> None:
        if not (self._is_peer() if self.door.token is None else self._has_token()):
            raise web.HTTPError(403, reason="Forbidden")
        if self.request.method == "POST":
            kind = self.request.headers.get("Content-Type", "").split(";")[0].strip()
            if kind != "application/json":
                raise UsageError("the body must be application/json")

    def body(self) -> dict[str, Any]:
        """The request's JSON object; ``UsageError`` when it is none."""
        try:
            data = json.loads(self.request.body or b"{}")
        except (ValueError, RecursionError):
            raise UsageError("the body is not JSON") from None
        if not isinstance(data, dict):
            raise UsageError("the body is not a JSON object")
        return data

    def answer(self, data: dict[str, Any], status: int = 200) -> None:
        self.set_status(status)
        self.finish(json.dumps(data, default=str))

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        error = kwargs["exc_info"][1] if kwargs.get("exc_info") else None
        if isinstance(error, MlopsError):
            status = next((code for kind, code in _STATUSES if isinstance(error, kind)), 500)
            self.answer(error.to_dict(), status)
        elif status_code >= 500:
            failure = MlopsError(f"the agent failed: {error}", hint="See .mlops/agent/agent.log.")
            self.answer(failure.to_dict(), status_code)
        else:
            self.answer(UsageError(f"{status_code} {self._reason}").to_dict(), status_code)

    def log_exception(self, *exception: Any) -> None:
        if not isinstance(exception[1], MlopsError):
            super().log_exception(*exception)

    def _is_peer(self) -> bool:
        # Where the system does not tell the peer, the folder's mode (0700) keeps others out.
        if not hasattr(socket, "SO_PEERCRED"):
            return True
        stream: Any = getattr(self.request.connection, "stream", None)
        if stream is None or stream.socket is None:
            return False
        raw = stream.socket.getsockopt(
            socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")
        )  # fmt: skip
        return int(struct.unpack("3i", raw)[1]) == os.getuid()

    def _has_token(self) -> bool:
        given = self.request.headers.get("Authorization", "")
        wanted = f"Bearer {self.door.token}"
        host = self.request.host_name
        return host in ("127.0.0.1", "localhost") and hmac.compare_digest(
            given.encode(), wanted.encode()
        )


class _Unknown(_Handler):
    def prepare(self) -> None:
        super().prepare()
        raise NotFoundError(f"the agent has no {self.request.method} {self.request.path}")


class _Hello(_Handler):
    def get(self) -> None:
        self.answer(self.agent.greeting())


class _Status(_Handler):
    def get(self) -> None:
        self.answer(self.agent.status())


class _Deliver(_Handler):
    def post(self) -> None:
        interpreter = self.body().get("interpreter")
        if interpreter is not None and not isinstance(interpreter, str):
            raise UsageError("interpreter must be a path")
        self.agent.nudged(interpreter)
        self.answer({}, 202)


class _Wake(_Handler):
    def post(self) -> None:
        self.body()
        self.agent.wake()
        self.answer({}, 202)


class _Call(_Handler):
    async def post(self) -> None:
        body = self.body()
        op, args = body.get("op"), body.get("args", {})
        interpreter, timeout = body.get("interpreter"), body.get("timeout", 600.0)
        if not isinstance(op, str) or not isinstance(args, dict):
            raise UsageError("op must be a name and args an object")
        if interpreter is not None and not isinstance(interpreter, str):
            raise UsageError("interpreter must be a path")
        if not isinstance(timeout, (int, float)) or not 0 < timeout <= _LONGEST_CALL:
            raise UsageError("timeout must be a number of seconds, at most a day")
        result = await self.agent.call(op, args, interpreter=interpreter, timeout=float(timeout))
        self.answer({"result": result})


class _Warm(_Handler):
    async def post(self) -> None:
        body = self.body()
        interpreter, modules = body.get("interpreter"), body.get("modules")
        env = body.get("env")
        if not interpreter or not _are_words(interpreter) or not _are_words(modules):
            raise UsageError("interpreter and modules must be lists of words")
        if not isinstance(env, dict) or not _are_words(list(env.values())):
            raise UsageError("env must be an object of words")
        await self.agent.warm(interpreter, modules, env, afresh=body.get("afresh") is True)
        self.answer({}, 202)


class _Runner(_Handler):
    async def post(self) -> None:
        body = self.body()
        interpreter, env = body.get("interpreter"), body.get("env")
        if not isinstance(interpreter, str) or not os.path.isabs(interpreter):
            raise UsageError("interpreter must be an absolute path")
        if not isinstance(env, dict) or not _are_words(list(env.values())):
            raise UsageError("env must be an object of words")
        self.agent.run_ahead(interpreter, env, afresh=body.get("afresh") is True)
        self.answer({}, 202)


class _Shutdown(_Handler):
    def post(self) -> None:
        drain = self.body().get("drain", True)
        if not isinstance(drain, bool):
            raise UsageError("drain must be true or false")
        self.answer({}, 202)
        self.agent.stop(drain=drain)


def _are_words(value: Any) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(word, str) for word in value)
