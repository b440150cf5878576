"""A kernel learns its notebook's new name: renamed itself, or with a folder above it."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_mlops.server.notebook_paths import path_file

from .conftest import Server, until

NOTEBOOK = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


def start(server: Server, path: str, kind: str = "notebook") -> tuple[str, str]:
    """Start a session as a client does; return its id and its kernel's."""
    answer = server.ask(
        "POST", "sessions", {"path": path, "name": Path(path).name, "type": kind}, prefix="/api/"
    )
    assert answer.status == 201, answer.text
    return answer.data["id"], answer.data["kernel"]["id"]


def rename(server: Server, old: str, new: str) -> None:
    answer = server.ask("PATCH", f"contents/{old}", {"path": new}, prefix="/api/")
    assert answer.status == 200, answer.text


def says(kernel: str) -> Path | None:
    path = path_file(kernel)
    return Path(os.fsdecode(path.read_bytes())) if path.exists() else None


@pytest.fixture
def session(server: Server, place: Path) -> Iterator[tuple[str, str]]:
    """``(session id, kernel id)`` of ``work/Untitled.ipynb``, with a real kernel."""
    (place / "notes").mkdir()
    (place / "notes" / "Untitled.ipynb").write_text(json.dumps(NOTEBOOK))
    made = start(server, f"{place.name}/notes/Untitled.ipynb")
    yield made
    server.ask("DELETE", f"sessions/{made[0]}", prefix="/api/")


def test_a_kernel_is_told_its_notebooks_name(
    server: Server, place: Path, session: tuple[str, str]
) -> None:
    session_id, kernel = session
    until(lambda: says(kernel) == place / "notes" / "Untitled.ipynb")
    assert stat.S_IMODE(path_file(kernel).stat().st_mode) == 0o600
    assert stat.S_IMODE(path_file(kernel).parent.stat().st_mode) == 0o700

    name = "Taxi tips ü.ipynb"
    rename(server, f"{place.name}/notes/Untitled.ipynb", f"{place.name}/notes/{name}")
    until(lambda: says(kernel) == place / "notes" / name)
    # The session goes on reporting the old path until its client says otherwise; looking at it
    # again must not bring the old name back.
    listed = server.ask("GET", "sessions", prefix="/api/").data
    assert [s["path"] for s in listed if s["id"] == session_id] == [
        f"{place.name}/notes/Untitled.ipynb"
    ]
    rename(server, f"{place.name}/notes", f"{place.name}/study")
    until(lambda: says(kernel) == place / "study" / name)

    # Now the client tells the session, as JupyterLab does after a rename.
    patched = {"path": f"{place.name}/study/{name}", "name": name}
    assert server.ask("PATCH", f"sessions/{session_id}", patched, prefix="/api/").status == 200
    rename(server, f"{place.name}/study/{name}", f"{place.name}/study/final.ipynb")
    until(lambda: says(kernel) == place / "study" / "final.ipynb")

    assert server.ask("DELETE", f"sessions/{session_id}", prefix="/api/").status == 204
    until(lambda: says(kernel) is None)


def test_a_rename_right_after_the_start_is_seen(
    server: Server, place: Path, session: tuple[str, str]
) -> None:
    _, kernel = session
    rename(server, f"{place.name}/notes/Untitled.ipynb", f"{place.name}/notes/early.ipynb")
    until(lambda: says(kernel) == place / "notes" / "early.ipynb")


def test_a_folder_that_only_begins_with_the_same_letters_is_another(
    server: Server, place: Path, session: tuple[str, str]
) -> None:
    _, kernel = session
    until(lambda: says(kernel) == place / "notes" / "Untitled.ipynb")
    (place / "wor").mkdir()
    rename(server, f"{place.name}/wor", f"{place.name}/other")
    rename(server, f"{place.name}/notes", f"{place.name}/moved")
    until(lambda: says(kernel) == place / "moved" / "Untitled.ipynb")


def test_a_console_has_no_notebook(server: Server, place: Path, session: tuple[str, str]) -> None:
    console, kernel = start(server, f"{place.name}/console-1", "console")
    try:
        until(lambda: says(session[1]) is not None)
        assert says(kernel) is None
    finally:
        server.ask("DELETE", f"sessions/{console}", prefix="/api/")
