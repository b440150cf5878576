"""The command line in this process: what it printed, and the code it ended with."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from jupyter_mlops.cli.main import main

__all__ = ["Mlops", "Result", "command_line"]


@dataclass(frozen=True)
class Result:
    """How a command ended: ``code`` is that of its process."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed for programs."""
        return json.loads(self.out)


Mlops = Callable[..., Result]


def command_line(monkeypatch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str]) -> Mlops:
    """Call it with the words of a command line; the working folder is the caller's matter."""

    def call(*arguments: str) -> Result:
        monkeypatch.setattr(sys, "argv", ["jupyter-mlops", *arguments])
        with pytest.raises(SystemExit) as stop:
            main(list(arguments))
        assert isinstance(stop.value.code, int)
        return Result(stop.value.code, *capture.readouterr())

    return call
