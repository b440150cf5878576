"""The house's lines: layers, light imports, private parts of services, module size."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "jupyter_mlops"
SERVICES = ("tracking", "promotion", "pipelines", "scheduling", "registry", "serving", "checking",
            "reproduction", "reporting", "tuning")  # fmt: skip
HEAVY = ("mlflow", "pandas", "sklearn", "papermill")


def modules(*parts: str) -> list[Path]:
    paths = [PACKAGE / part for part in parts]
    return [p for path in paths for p in (sorted(path.rglob("*.py")) if path.is_dir() else [path])]


def imports(path: Path) -> Iterator[tuple[int, str, int]]:
    """Yield ``(relative level, module, line)`` of each import statement, nested ones too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield 0, name.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            yield node.level, node.module or "", node.lineno


def test_import_linter_holds_the_layers() -> None:
    result = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    "path", modules("dataflow", "model", "errors.py", "config.py", "project.py"), ids=str
)
def test_pure_and_ground_use_the_standard_library_only(path: Path) -> None:
    foreign = {
        module
        for level, module, _ in imports(path)
        if level == 0 and module.split(".")[0] not in sys.stdlib_module_names
    }
    assert not foreign


@pytest.mark.parametrize("service", SERVICES)
def test_services_use_each_other_through_the_front_door(service: str) -> None:
    for path in modules(service):
        depth = len(path.relative_to(PACKAGE).parts) - 1
        for level, module, line in imports(path):
            if level == depth + 1:
                other, *inner = module.split(".")
                assert not (other in SERVICES and other != service and inner), (
                    f"{path.name}:{line} reaches inside {other}"
                )
            assert not module.startswith("jupyter_mlops."), (
                f"{path.name}:{line}: use a relative import"
            )


@pytest.mark.parametrize(
    "code",
    [
        "import jupyter_mlops",
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "shell = InteractiveShell.instance()\n"
        "shell.run_line_magic('load_ext', 'jupyter_mlops')\n"
        "assert '%track' in [*map('%{}'.format, shell.magics_manager.magics['line'])]",
        "import jupyter_mlops.cli.main",
        "import jupyter_mlops.server.app",
        "import jupyter_mlops.agent",
    ],
    ids=["package", "load_ext", "cli", "server", "agent"],
)
def test_light_imports(code: str) -> None:
    check = (
        f"\nimport sys\nfound = [m for m in {HEAVY!r} if m in sys.modules]\nassert not found, found"
    )
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code + check], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr


def test_modules_keep_to_one_subject() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in PACKAGE.rglob("*.py")
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 500
    }
    assert not long
    assert not list(PACKAGE.rglob("*utils*"))


def test_the_public_surface() -> None:
    import jupyter_mlops

    assert jupyter_mlops.__all__ == sorted(jupyter_mlops.__all__)
    for name in jupyter_mlops.__all__:
        assert getattr(jupyter_mlops, name) is not None
