"""Saves of a running notebook: rare, atomic, and off the path of its cells."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

from .engine_notebook import assemble, cell_text, notebook_text

__all__ = ["Clean", "Saver", "cleaned_text", "write_text"]

Clean = Callable[[dict[str, Any]], dict[str, Any]]
_EVERY = 2.0  # seconds between saves while cells run
_SHARE = 20  # at most a twentieth of the time goes into saves


class Saver:
    """Writes a notebook while it runs.

    Each cell is turned into text once, when it has ended, so that a save costs what has changed;
    the writing itself is another thread's.  A save that fails on the way is no reason to stop the
    notebook: the last one decides.  ``write`` puts a text at its place (raises ``OSError``),
    ``None`` saves nowhere; ``clean`` makes what is written from the notebook's JSON.
    """

    def __init__(
        self,
        notebook: dict[str, Any],
        write: Callable[[str], None] | None,
        clean: Clean | None = None,
        every: float = _EVERY,
    ) -> None:
        self._notebook = notebook
        self._write = write
        self._clean = clean
        self._every = every
        self._texts: dict[str, str] = {}
        self._writer: threading.Thread | None = None
        self._next = time.monotonic() + every
        self._dirty = False
        self._spent = 0.0

    @property
    def due(self) -> float | None:
        """The moment (``time.monotonic``) of the next save, ``None`` if nothing has changed."""
        return self._next if self._dirty and self._write is not None else None

    def changed(self, cell: dict[str, Any]) -> None:
        """A cell has changed since the last save."""
        self._texts.pop(cell["id"], None)
        self._dirty = True

    def save_if_due(self) -> None:
        """Save if something has changed and the last time is long enough ago."""
        now = time.monotonic()
        busy = self._writer is not None and self._writer.is_alive()
        if not self._dirty or now < self._next or busy or self._write is None:
            return
        self._dirty = False
        text = self._text()
        spent = time.monotonic() - now
        self._next = now + max(self._every, _SHARE * (spent + self._spent))
        put = self._put
        self._writer = threading.Thread(target=put, args=(text, self._write), name="notebook save")
        self._writer.start()

    def close(self) -> None:
        """Wait for a save that is on its way."""
        if self._writer is not None:
            self._writer.join()

    def _put(self, text: str, write: Callable[[str], None]) -> None:
        started = time.monotonic()
        with contextlib.suppress(Exception):  # a full disk, a store that does not answer
            write(text)
        self._spent = time.monotonic() - started

    def _text(self) -> str:
        if self._clean is not None:
            return cleaned_text(self._notebook, self._clean)
        texts = []
        for cell in self._notebook["cells"]:
            text = self._texts.get(cell["id"])
            if text is None:
                text = self._texts[cell["id"]] = cell_text(cell)
            texts.append(text)
        return assemble(self._notebook, texts)


def cleaned_text(notebook: dict[str, Any], clean: Clean | None) -> str:
    """The text of a notebook after ``clean``."""
    text = notebook_text(notebook)
    if clean is None:
        return text
    data = json.loads(text)
    cleaned = clean(data)
    if cleaned == data:
        return text
    return json.dumps(cleaned, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def write_text(path: Path, text: str, *, durable: bool) -> None:
    """Write a file whole or not at all; ``OSError`` when it cannot be written.

    ``durable``: it survives the machine's end, not only the process's.
    """
    # Lone surrogates in an output would fail the write; their escapes are valid JSON.
    data = text.encode("utf-8", "backslashreplace")
    name = path.with_name(f".{path.stem}.{uuid4().hex[:12]}.tmp")
    # Made as open() makes it: with the rights that the user's umask leaves.
    descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
