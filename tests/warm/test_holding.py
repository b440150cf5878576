"""Zygotes that are held because a kernel found none."""

from __future__ import annotations

import sys

from jupyter_mlops.config import Config
from jupyter_mlops.warm import end_zygotes, held_zygotes, holder

from .conftest import environment, gone


def test_a_holder_starts_one_and_replaces_it_where_imports_would_differ() -> None:
    before = {one["pid"] for one in held_zygotes()}

    def held() -> list[int]:
        return [one["pid"] for one in held_zygotes() if one["pid"] not in before]

    hold = holder("holding", Config())
    interpreter, modules = (sys.executable,), ("colorsys",)
    try:
        hold(interpreter, modules, environment(), "absent")
        (first,) = held()
        hold(interpreter, modules, environment(), "stale")
        assert held() == [first]
        hold(interpreter, modules, environment(), "environment")
        (second,) = held()
        assert second != first
        assert gone(first)
    finally:
        end_zygotes("holding")
    assert gone(second)
    assert not held()
