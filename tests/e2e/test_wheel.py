"""The wheel, installed where there is no Node: panel, magic and command line work from it.

Also with the kernel in another environment than the server, as many teams have it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from .conftest import write_notebook
from .lab import open_notebook, open_panel, run_cell, running_lab

ROOT = Path(__file__).resolve().parent.parent.parent
UV = Path(sys.executable).with_name("uv")

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


def without_node(*first: Path) -> str:
    """A PATH with the given folders and the system's tools, and no Node on it."""
    folders = [str(f) for f in first]
    folders += [f for f in ("/usr/bin", "/bin") if not (Path(f) / "node").exists()]
    path = os.pathsep.join(folders)
    assert shutil.which("node", path=path) is None
    return path


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, with the bundle that `make test` has built."""
    assert (ROOT / "jupyter_mlops/labextension/package.json").is_file(), "build the panel first"
    out = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, ROOT],
        check=True,
        capture_output=True,
    )
    (found,) = out.glob("*.whl")
    return found


def environment_with(wheel: Path, folder: Path) -> Path:
    """A fresh virtual environment with the wheel installed from the lock; return its Python."""
    subprocess.run([UV, "venv", "--quiet", "--python", sys.executable, folder], check=True)
    python = folder / "bin" / "python"
    subprocess.run(
        [
            UV,
            "pip",
            "install",
            "--quiet",
            "--python",
            python,
            "--constraint",
            ROOT / "constraints.txt",
            wheel,
        ],
        check=True,
        env=os.environ | {"PATH": without_node()},
    )
    return python


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return environment_with(wheel, tmp_path_factory.mktemp("a") / "venv")


def test_what_the_wheel_holds(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    data = next(n.split("/")[0] for n in names if ".data/" in n)
    share = f"{data}/data/share/jupyter/labextensions/jupyter-mlops/"
    assert f"{share}package.json" in names
    assert f"{share}install.json" in names
    assert any(n.startswith(f"{share}static/remoteEntry") for n in names)
    assert any(n.startswith(f"{share}schemas/") for n in names)
    assert f"{data}/data/etc/jupyter/jupyter_server_config.d/jupyter_mlops.json" in names
    assert "jupyter_mlops/pipelines/pipeline.schema.json" in names
    assert any(n.endswith("licenses/LICENSE") for n in names)
    foreign = [n for n in names if "node_modules" in n or n.startswith(("tests/", "labextension/"))]
    assert not foreign


def test_both_extensions_are_enabled_and_the_command_line_answers(installed: Path) -> None:
    environment = os.environ | {"PATH": without_node(installed.parent)}

    def output(*command: str) -> str:
        result = subprocess.run(
            [str(installed.parent / command[0]), *command[1:]],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return re.sub(r"\x1b\[[0-9;]*m", "", result.stdout + result.stderr)  # without colours

    listing = output("jupyter", "labextension", "list")
    assert any("jupyter-mlops" in x and "enabled" in x and "OK" in x for x in listing.splitlines())
    extensions = output("jupyter", "server", "extension", "list").splitlines()
    assert any("jupyter_mlops" in x and "enabled" in x for x in extensions)
    assert "0.1" in output("jupyter", "mlops", "--version")
    assert "promote" in output("jupyter", "mlops", "--help")


def track_in_lab(browser: Browser, python: Path, work: Path, runtime: Path) -> None:
    path = without_node(python.parent)
    with running_lab(python, work, runtime, path=path) as lab:
        page = open_notebook(browser, lab, "wine.ipynb")
        panel = open_panel(page)
        for index in range(3):
            run_cell(page, index)
        version = panel.locator('.jp-mlops-version[data-model="wine"][data-version="1"]')
        expect(version).to_be_visible(timeout=90_000)
        expect(panel.locator(".jp-mlops-kernel-missing")).to_have_count(0)
        page.close()


def test_panel_magic_and_delivery_from_the_wheel(
    browser: Browser, installed: Path, work: Path, tmp_path: Path
) -> None:
    track_in_lab(browser, installed, work, tmp_path / "run")


def test_the_kernel_in_another_environment(
    browser: Browser, installed: Path, wheel: Path, work: Path, tmp_path: Path
) -> None:
    other = environment_with(wheel, tmp_path / "other")
    command = [other, "-m", "ipykernel", "install", "--prefix", installed.parent.parent]
    subprocess.run([*command, "--name", "other"], check=True, capture_output=True)
    write_notebook(work / "wine.ipynb", kernel="other")
    track_in_lab(browser, installed, work, tmp_path / "run")
    from jupyter_mlops.journal import list_sessions, read_session

    (journal,) = list_sessions(work / ".mlops" / "journal")
    header = read_session(journal).header
    assert header is not None
    assert Path(header.interpreter).parent == other.parent
