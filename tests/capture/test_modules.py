from __future__ import annotations

import importlib
import importlib.util
import os
import subprocess
import sys
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from blake3 import blake3

from jupyter_mlops.capture.modules import imported_modules, project_files


def digest(path: Path) -> str:
    return blake3(path.read_bytes()).hexdigest()


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    before = dict(sys.modules)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.syspath_prepend(str(tmp_path))

    def load(name: str, content: str = "x = 1\n", folder: str = "") -> None:
        path = tmp_path / folder / (name.replace(".", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        if folder:
            monkeypatch.syspath_prepend(str(tmp_path / folder))
        importlib.invalidate_caches()
        importlib.import_module(name)

    yield load
    for name in set(sys.modules) - set(before):
        del sys.modules[name]
    monkeypatch.undo()


def test_files_below_the_root_by_hash(tmp_path: Path, load: Callable[..., None]) -> None:
    assert imported_modules(tmp_path) == {}
    (tmp_path / "pack_by_test").mkdir()
    (tmp_path / "pack_by_test" / "__init__.py").write_text("")
    load("pack_by_test.inner")
    load("namespace_by_test.deep")  # Without an `__init__`.
    found = imported_modules(tmp_path)
    assert found == {
        name: digest(tmp_path / name)
        for name in (
            "namespace_by_test/deep.py",
            "pack_by_test/__init__.py",
            "pack_by_test/inner.py",
        )
    }
    assert list(found) == sorted(found)
    assert project_files(tmp_path)["pack_by_test/inner.py"] == str(
        tmp_path / "pack_by_test" / "inner.py"
    )


def test_environments_below_the_root_are_not_the_projects(
    tmp_path: Path, load: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    load("foreign_by_test", folder="venv/lib/python3/site-packages")
    load("prefix_by_test", folder="env/lib/python3")
    load("own_by_test", folder="src")
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "env"))
    assert list(imported_modules(tmp_path)) == ["src/own_by_test.py"]


def test_an_edited_file_a_gone_one_and_another_of_that_name(
    tmp_path: Path, load: Callable[..., None]
) -> None:
    load("edited_by_test")
    before = imported_modules(tmp_path)
    path = tmp_path / "edited_by_test.py"
    path.write_text("x = 10\n")
    assert imported_modules(tmp_path) == {"edited_by_test.py": digest(path)} != before
    path.unlink()
    assert imported_modules(tmp_path) == {}
    del sys.modules["edited_by_test"]
    load("edited_by_test", "y = 1\n", folder="other")
    assert list(imported_modules(tmp_path)) == ["other/edited_by_test.py"]


def test_a_module_that_goes_and_comes_again(tmp_path: Path, load: Callable[..., None]) -> None:
    load("comes_by_test")
    assert list(imported_modules(tmp_path)) == ["comes_by_test.py"]
    del sys.modules["comes_by_test"]
    assert imported_modules(tmp_path) == {}
    load("comes_by_test")
    assert list(imported_modules(tmp_path)) == ["comes_by_test.py"]


def test_a_lazy_module_stays_asleep(tmp_path: Path, load: Callable[..., None]) -> None:
    path = tmp_path / "lazy_by_test.py"
    path.write_text("raise SystemExit('woken')\n")
    spec = importlib.util.find_spec("lazy_by_test")
    assert spec is not None
    assert spec.loader is not None
    spec.loader = importlib.util.LazyLoader(spec.loader)
    module = importlib.util.module_from_spec(spec)
    sys.modules["lazy_by_test"] = module
    spec.loader.exec_module(module)
    assert list(imported_modules(tmp_path)) == ["lazy_by_test.py"]
    with pytest.raises(SystemExit, match="woken"):
        module.anything  # noqa: B018


def test_whatever_else_is_among_the_modules(tmp_path: Path, load: Callable[..., None]) -> None:
    class Trap:
        def __getattribute__(self, name: str) -> object:
            raise KeyboardInterrupt(name)

    class LazyModule(types.ModuleType):
        def __getattr__(self, name: str) -> object:
            raise KeyboardInterrupt(name)

    lying = types.ModuleType("lying_by_test")
    lying.__file__ = 3  # type: ignore[assignment]
    relative = types.ModuleType("relative_by_test")
    relative.__file__ = "train.py"
    script = types.ModuleType("script_by_test")
    script.__file__ = str(tmp_path / "script.py")
    (tmp_path / "script.py").write_text("pass\n")
    strange = {
        "trap_by_test": Trap(),
        "none_by_test": None,
        "lazy_by_test": LazyModule("lazy_by_test"),
        "lying_by_test": lying,
        "relative_by_test": relative,
        "script_by_test": script,
    }
    sys.modules.update(strange)  # type: ignore[arg-type]
    try:
        assert list(imported_modules(tmp_path)) == ["script.py"]
    finally:
        for name in strange:
            del sys.modules[name]


def test_a_root_behind_a_link(tmp_path: Path, load: Callable[..., None]) -> None:
    load("linked_by_test", folder="real")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert list(imported_modules(tmp_path / "link")) == ["linked_by_test.py"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_waits_for_no_lock() -> None:
    code = """
import os
from pathlib import Path
from jupyter_mlops.capture import environment, modules
modules.imported_modules(Path("."))
environment.current_environment("")
with modules._projects["."].lock, environment._reader._lock:
    child = os.fork()
    if child == 0:
        modules.imported_modules(Path("."))
        os._exit(0 if environment.current_environment("").packages else 3)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "0", done.stderr


def test_the_cost_when_nothing_is_new(tmp_path: Path, load: Callable[..., None]) -> None:
    load("cost_by_test")
    many = {f"many_by_test_{n}": types.ModuleType("m") for n in range(3000)}
    sys.modules.update(many)
    try:
        imported_modules(tmp_path)
        took = []
        for _ in range(50):
            began = time.perf_counter()
            imported_modules(tmp_path)
            took.append(time.perf_counter() - began)
        assert sorted(took)[10] < 0.002
    finally:
        for name in many:
            del sys.modules[name]
