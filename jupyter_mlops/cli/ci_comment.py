"""Putting a comment on a pull or merge request: the one of an earlier run is updated."""

from __future__ import annotations

import json
import os
import re
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ServiceError, UsageError

__all__ = ["Posted", "post_comment"]

_MARKER = re.compile(r"<!-- jupyter-mlops:[A-Za-z0-9._-]+ -->")
_TIMEOUT = 30.0  # seconds
_PAGE = 100


@dataclass(frozen=True, slots=True)
class Posted:
    """``url`` of the comment, and whether one was there that was updated."""

    url: str
    updated: bool


@dataclass(frozen=True, slots=True)
class _Place:
    """Where comments are: the address of their list, of one (with its id), and who may write."""

    comments: str
    one: str
    method: str
    headers: Mapping[str, str]


def post_comment(file: Path, *, number: int | None, env: Mapping[str, str] | None = None) -> Posted:
    """Put the Markdown of ``file`` on the request that this CI job is about.

    The comment that begins with the same mark is updated.  ``number`` is the request's, where the
    environment ``env`` does not say it.  Raises ``UsageError`` for a file without a mark, outside
    of a CI job, and for what the service refuses; ``ServiceError`` when it does not answer.
    """
    env = os.environ if env is None else env
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read: {error}") from error
    match = _MARKER.match(text)
    if match is None:
        raise UsageError(
            f"{file} does not begin with the mark by which its comment is found again",
            hint="Give the comment.md that --report has written.",
        )
    place = _place(env, number)
    for entry in _comments(place):
        if str(entry.get("body") or "").startswith(match[0]):
            made = _call(place.method, f"{place.one}/{entry['id']}", place.headers, {"body": text})
            return Posted(_url(made), True)
    return Posted(_url(_call("POST", place.comments, place.headers, {"body": text})), False)


def _place(env: Mapping[str, str], number: int | None) -> _Place:
    if env.get("GITHUB_ACTIONS") == "true":
        token = _needed(env, "GITHUB_TOKEN", "In the workflow: GITHUB_TOKEN: ${{ github.token }}")
        api = env.get("GITHUB_API_URL", "https://api.github.com")
        base = f"{api}/repos/{_needed(env, 'GITHUB_REPOSITORY')}/issues"
        headers = {
            "Authorization": f"Bearer {token}",
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
        }
        at = number if number is not None else _github_number(env)
        return _Place(f"{base}/{at}/comments", f"{base}/comments", "PATCH", headers)
    if env.get("GITLAB_CI") == "true":
        token = _needed(env, "GITLAB_TOKEN", "Make a project access token with the scope `api`.")
        at_text = str(number) if number is not None else _needed(env, "CI_MERGE_REQUEST_IID")
        project = _needed(env, "CI_PROJECT_ID")
        base = f"{_needed(env, 'CI_API_V4_URL')}/projects/{project}/merge_requests/{at_text}/notes"
        return _Place(base, base, "PUT", {"PRIVATE-TOKEN": token})
    raise UsageError(
        "this is no job of GitHub Actions or GitLab, so there is no pull request to comment on",
        hint="GITHUB_ACTIONS or GITLAB_CI would be `true` there.",
    )


def _needed(env: Mapping[str, str], name: str, hint: str | None = None) -> str:
    value = env.get(name)
    if not value:
        raise UsageError(f"the variable {name} is not set in this job", hint=hint)
    return value


def _github_number(env: Mapping[str, str]) -> int:
    try:
        event = json.loads(Path(env.get("GITHUB_EVENT_PATH", "")).read_text(encoding="utf-8"))
        return int(event["pull_request"]["number"])
    except (OSError, ValueError, KeyError, TypeError):
        found = re.fullmatch(r"refs/pull/(\d+)/(?:merge|head)", env.get("GITHUB_REF", ""))
        if found:
            return int(found[1])
    raise UsageError(
        "this job is not about a pull request", hint="Name one: --pull-request NUMBER."
    )


def _comments(place: _Place) -> Iterator[dict[str, Any]]:
    for page in range(1, 101):
        found = _call("GET", f"{place.comments}?per_page={_PAGE}&page={page}", place.headers)
        if not isinstance(found, list):
            return
        yield from (entry for entry in found if isinstance(entry, dict))
        if len(found) < _PAGE:
            return


def _url(made: Any) -> str:
    return str(made.get("html_url") or "") if isinstance(made, dict) else ""


def _call(
    method: str, url: str, headers: Mapping[str, str], data: Mapping[str, Any] | None = None
) -> Any:
    if not url.startswith(("https://", "http://")):
        raise UsageError(f"{url} is not the address of a web service")
    body = None if data is None else json.dumps(data).encode()
    request = urllib.request.Request(url, data=body, method=method)  # noqa: S310  (checked above)
    for name, value in headers.items():
        # Not sent on to another host where the service redirects.
        request.add_unredirected_header(name, value)
    if body is not None:
        request.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:  # noqa: S310
            return json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        with error:
            if error.code >= 500 or error.code == 429:
                raise ServiceError(f"{url} answered {error.code} {error.reason}") from None
            raise UsageError(
                f"{url} refused: {error.code} {error.reason}",
                hint="The job's token must be allowed to write comments (GitHub: permissions: "
                "pull-requests: write; GitLab: the scope api).",
            ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise ServiceError(f"{url} did not answer: {reason}") from None
