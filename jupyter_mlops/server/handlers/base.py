"""What every handler shares: checked input, the project of a path, JSON errors, worker threads."""

from __future__ import annotations

import asyncio
import getpass
import json
import re
import traceback
from collections.abc import Callable
from functools import partial
from http.client import responses
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from jupyter_server.auth import decorator
from jupyter_server.base.handlers import APIHandler
from tornado.web import HTTPError

from ...config import Config, load_config
from ...errors import MlopsError, NotFoundError, ProjectError, UsageError
from ...project import Project, open_project
from ..answers import error_json, plain, redact, status_of
from ..paths import local_path
from ..validation import BODY_LIMIT, parse_body, parse_query

if TYPE_CHECKING:
    from ..app import MlopsApp

__all__ = ["MlopsHandler", "authorized", "notebook_path"]

T = TypeVar("T")
Verb = TypeVar("Verb", bound=Callable[..., Any])

_REASONS = {400: "usage", 403: "forbidden", 404: "not_found", 405: "method", 413: "too_large"}


def authorized(action: str, resource: str) -> Callable[[Verb], Verb]:
    """``jupyter_server.auth.authorized`` with both its arguments, and a type."""
    decorate: Callable[[Verb], Verb] = decorator.authorized(action, resource)
    return decorate


class MlopsHandler(APIHandler):
    """Base of the handlers.

    Each verb is written on its concrete class with ``@tornado.web.authenticated`` and then
    ``@authorized(action, resource)``: the latter remembers its arguments at its first call, so an
    inherited verb would be authorized under another handler's names.
    """

    @property
    def mlops(self) -> MlopsApp:
        """The extension that this handler belongs to."""
        app: MlopsApp = self.settings["jupyter_mlops"]
        return app

    @property
    def root_folder(self) -> Path:
        """The folder that contents paths are relative to."""
        return Path(str(getattr(self.contents_manager, "root_dir", None) or self.mlops.root_dir))

    async def prepare(self) -> None:  # type: ignore[override]
        """Check the request as every Jupyter handler does, then its size."""
        # A panel that refreshes itself must not keep an idle server from being culled.
        self._track_activity = self.request.method not in {"GET", "HEAD"}
        await super().prepare()
        # Jupyter lets methods that a handler lacks through to their 405; strangers learn nothing.
        if not self.current_user and self.request.method != "OPTIONS":
            raise HTTPError(403)
        if len(self.request.body) > BODY_LIMIT:
            raise HTTPError(413, f"the request body is larger than {BODY_LIMIT} bytes")

    @property
    def person(self) -> str:
        """Who asks, for the record: the login of an identity provider, else the system's user."""
        name = str(self.current_user.username)
        # With a token alone, Jupyter makes up a random name for each browser.
        return getpass.getuser() if re.fullmatch(r"[0-9a-f]{32}", name) else name

    def query(self, schema: str) -> dict[str, Any]:
        """The query arguments, valid by ``QUERIES[schema]``; raises ``UsageError``."""
        return parse_query(self.request.query_arguments, schema)

    def body(self, schema: str) -> dict[str, Any]:
        """The JSON body, valid by ``BODIES[schema]``; raises ``UsageError``."""
        parse_query(self.request.query_arguments, "none")
        return parse_body(self.request.body, schema)

    async def project(self, path: str) -> Project:
        """The project that a contents path belongs to, watched from now on; it is not created.

        Raises ``UsageError`` for a path outside the server's root folder and ``ProjectError`` where
        there can be no project.
        """
        place = local_path(self.root_folder, path)
        project = await self.read(partial(_open, place))
        await self.mlops.feed.watch(project)
        return project

    async def project_or_none(self, path: str) -> Project | None:
        """The project with state that a path belongs to, ``None`` while there is none."""
        try:
            project = await self.project(path)
        except ProjectError:
            return None
        return project if project.exists else None

    async def existing_project(self, path: str) -> Project:
        """The project with state that a path belongs to; ``NotFoundError`` while there is none."""
        project = await self.project(path)
        if not project.exists:
            raise NotFoundError(
                f"nothing has been tracked in {project.name} yet",
                hint="Run a cell that begins with %%track.",
            )
        return project

    async def config_of(self, project: Project) -> Config:
        """The project's configuration; raises ``UsageError`` for a setting that is not valid."""
        return await self.read(partial(load_config, project.root))

    async def read(self, function: Callable[[], T]) -> T:
        """Run something short that touches files in a thread, so that the loop never waits."""
        return await asyncio.get_running_loop().run_in_executor(self.mlops.readers, function)

    async def agent(self, project: Project, op: str, **arguments: Any) -> Any:
        """Run an operation in the project's agent, started if need be.

        Raises ``AgentUnavailable`` with the cause when it cannot be started, and the operation's
        own errors.
        """
        config = await self.config_of(project)
        return await self.mlops.agents.call(project, config, op, arguments)

    async def answer(self, build: Callable[[], Any], status: int = 200) -> None:
        """Finish with what ``build()`` returns, as JSON; both are done in a thread."""
        text = await self.read(lambda: json.dumps(plain(build()), allow_nan=False))
        self.set_status(status)
        self.finish(text)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer ``{"message", "reason", "hint", "fields"}``, whatever went wrong."""
        error = kwargs["exc_info"][1] if kwargs.get("exc_info") else None
        if isinstance(error, MlopsError):
            self.set_status(status_of(error))
            body = error_json(error, *self._secrets())
        elif isinstance(error, HTTPError):
            body = {
                "message": self._redact(error.log_message and error.get_message())
                or responses.get(status_code, "Unknown error"),
                "reason": _REASONS.get(status_code, "error"),
                "hint": None,
                "fields": {},
            }
        else:
            body = {
                "message": f"the server failed with {type(error).__name__}",
                "reason": "internal",
                "hint": "The Jupyter server's log has the details.",
                "fields": {},
            }
        self.set_header("Content-Type", "application/json")
        self.finish(json.dumps(body, allow_nan=False))

    def send_error(self, status_code: int = 500, **kwargs: Any) -> None:
        """Give a domain error its own status before tornado writes the head."""
        error = kwargs["exc_info"][1] if kwargs.get("exc_info") else None
        if isinstance(error, MlopsError):
            status_code = status_of(error)
        super().send_error(status_code, **kwargs)

    def log_exception(
        self,
        typ: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        """Log without the request's own words: its address may hold a token."""
        where = f"{self.request.method} {self.request.path}"
        if isinstance(value, (MlopsError, HTTPError)):
            self.log.warning("%s: %s", where, self._redact(str(value)))
        else:
            text = "".join(traceback.format_exception(typ, value, tb))
            self.log.error("%s failed\n%s", where, self._redact(text))

    def _redact(self, text: str | None) -> str:
        return redact(text or "", *self._secrets())

    def _secrets(self) -> list[str]:
        return [str(getattr(self.identity_provider, "token", "") or "")]


def _open(place: Path) -> Project:
    try:
        return open_project(place, create=False)
    except ProjectError:
        raise
    except OSError as error:
        raise ProjectError(
            f"{place} cannot be read: {error.strerror or error}",
            hint="Make it readable for the user that runs the server.",
        ) from error


def notebook_path(root: Path, path: str) -> Path:
    """The notebook at a contents path; raises ``UsageError`` or ``NotFoundError``."""
    place = local_path(root, path)
    if place.suffix != ".ipynb":
        raise UsageError(f"{place.name!r} is not a notebook (.ipynb)", field="path")
    if not place.is_file():
        raise NotFoundError(f"there is no notebook {path!r}", field="path")
    return place
