"""The agent's log: ``.mlops/agent/agent.log``, rotated at a megabyte, two old ones kept."""

from __future__ import annotations

import logging
import logging.handlers
import os
import sys
from pathlib import Path

from ..journal.redaction import redact_text

__all__ = ["start_logging"]

_SIZE, _OLD = 1024 * 1024, 2


def start_logging(path: Path, *, foreground: bool) -> logging.Logger:
    """Log to ``path`` and, in the foreground, to stderr; return the agent's logger.

    A detached agent's own stderr goes to the same file: what Python says when it dies is there.
    """
    logging.raiseExceptions = False  # A full disk must not end the agent.
    logger = logging.getLogger("jupyter_mlops.agent")
    logger.setLevel(logging.INFO)
    formatter = _Formatter("%(asctime)s %(levelname)s %(message)s")
    file: logging.Handler = _Rotating(path, take_stderr=not foreground)
    file.setFormatter(formatter)
    root = logging.getLogger()
    root.addHandler(file)
    if foreground:
        terminal = logging.StreamHandler(sys.stderr)
        terminal.setFormatter(formatter)
        logger.addHandler(terminal)
    return logger


class _Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return redact_text(super().format(record))


class _Rotating(logging.handlers.RotatingFileHandler):
    def __init__(self, path: Path, *, take_stderr: bool) -> None:
        self._take_stderr = take_stderr
        super().__init__(path, maxBytes=_SIZE, backupCount=_OLD, encoding="utf-8")
        self._redirect()

    def doRollover(self) -> None:
        super().doRollover()
        self._redirect()

    def _redirect(self) -> None:
        if self._take_stderr and self.stream is not None:
            os.dup2(self.stream.fileno(), 2)
