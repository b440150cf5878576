"""A real JupyterLab in a subprocess, and Chromium to look at it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright
from playwright.sync_api import TimeoutError as PlaywrightTimeout

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass(frozen=True)
class Lab:
    """A running server: its address, its token and the folder it serves."""

    url: str
    token: str
    root: Path
    environment: Mapping[str, str]

    def get(self, path: str) -> Any:
        """GET a path of the REST API with the token."""
        request = urllib.request.Request(
            f"{self.url}/{path}", headers={"Authorization": f"token {self.token}"}
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)


@contextlib.contextmanager
def running_lab(
    python: Path, root: Path, runtime: Path, *, path: str | None = None, app: str = "lab"
) -> Iterator[Lab]:
    """Start JupyterLab (or ``notebook``) under ``python`` with token and XSRF check on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = secrets.token_hex(16)
    environment = dict(os.environ)
    environment.pop("JUPYTER_MLOPS_AGENT", None)  # here the agent is part of what is tested
    environment["JUPYTER_RUNTIME_DIR"] = str(runtime)
    environment["JUPYTER_MLOPS_AGENT_IDLE"] = "60"
    environment["PATH"] = path or f"{python.parent}{os.pathsep}{environment['PATH']}"
    environment["JUPYTER_PREFER_ENV_PATH"] = "1"
    runtime.mkdir(mode=0o700, exist_ok=True)
    config = runtime.parent / "config"
    environment["JUPYTER_CONFIG_DIR"] = str(config)
    (config / "labconfig").mkdir(parents=True, exist_ok=True)
    # The question about news would cover what is looked at.
    (config / "labconfig" / "page_config.json").write_text(
        json.dumps({"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}})
    )
    command = [
        str(python),
        "-m",
        "jupyter",
        app,
        "--no-browser",
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={port}",
        "--ServerApp.port_retries=0",
        f"--IdentityProvider.token={token}",
        f"--ServerApp.root_dir={root}",
        "--ServerApp.allow_root=True",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]
    with (root.parent / "server.log").open("wb") as log:
        server = subprocess.Popen(
            command, cwd=root, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    lab = Lab(f"http://127.0.0.1:{port}", token, root, environment)
    try:
        _wait_until_it_answers(lab, server, root.parent / "server.log")
        yield lab
    finally:
        _end(python, server, lab)


def _wait_until_it_answers(lab: Lab, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        if server.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"the server did not start:\n{log.read_text()[-3000:]}")
        try:
            lab.get("api/status")
            return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.2)


def _end(python: Path, server: subprocess.Popen[bytes], lab: Lab) -> None:
    children = []
    with contextlib.suppress(psutil.NoSuchProcess):
        children = psutil.Process(server.pid).children(recursive=True)
    server.send_signal(signal.SIGTERM)
    try:
        server.wait(15)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
    for child in children:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()
    for state in lab.root.rglob(".mlops"):
        subprocess.run(
            [str(python), "-m", "jupyter_mlops", "agent", "stop", "--all"],
            cwd=state.parent,
            env=dict(lab.environment),
            stdout=subprocess.DEVNULL,
            check=True,
        )


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, headless."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


def open_notebook(browser: Browser, lab: Lab, notebook: str, *, theme: str = "light") -> Page:
    """Open a notebook in JupyterLab and wait until its kernel is there."""
    page = browser.new_page(viewport={"width": 1500, "height": 950}, color_scheme=theme)  # type: ignore[arg-type]
    page.set_default_timeout(60_000)
    page.goto(f"{lab.url}/lab/tree/{notebook}?token={lab.token}&reset")
    page.wait_for_selector("#jupyterlab-splash", state="detached")
    page.wait_for_selector(".jp-NotebookPanel .jp-Cell")
    wait_for_idle(page)
    return page


def no_dialog(page: Page) -> None:
    """Fail by what an open dialog says: it would silently take every click.

    JupyterLab itself asks for a kernel where a busy server was slow to list them; what it proposes
    is the notebook's own.
    """
    dialog = page.locator(".jp-Dialog")
    if dialog.count():
        said = dialog.first.inner_text()
        assert said.startswith("Select Kernel"), f"a dialog is open: {said!r}"
        dialog.locator("button.jp-mod-accept").click()
        wait_for_idle(page)


def dialog_has_focus(page: Page) -> None:
    """Wait until the dialog that opens has given its button the focus, which it does late.

    Whatever was given the focus before loses it then, and Enter closes the dialog.
    """
    expect(page.locator(".jp-Dialog .jp-mod-accept")).to_be_focused(timeout=30_000)


def wait_for_idle(page: Page) -> None:
    """Wait until the kernel has nothing to do."""
    page.wait_for_selector('.jp-NotebookPanel .jp-Notebook-ExecutionIndicator[data-status="idle"]')


def code_cells(page: Page) -> Locator:
    """The code cells of the open notebook."""
    return page.locator(".jp-NotebookPanel .jp-CodeCell")


def run_cell(page: Page, index: int) -> Locator:
    """Run one code cell with Ctrl+Enter and wait until it has run; return it."""
    cell = code_cells(page).nth(index)
    prompt = cell.locator(".jp-InputPrompt")
    ran_before = re.fullmatch(r"\[\d+\]:", prompt.inner_text().strip())
    # A cell that has not run shows "[ ]:", or nothing while it is being drawn.
    started = re.compile(r"\[(\*|\d+)\]:")
    for attempt in range(4):
        try:
            cell.locator(".cm-content").click(timeout=15_000)
        except PlaywrightTimeout:
            no_dialog(page)
            cell.locator(".cm-content").click()
        expect(cell).to_have_class(re.compile("jp-mod-active"))
        page.keyboard.press("Control+Enter")
        try:
            expect(prompt).to_have_text(started, timeout=15_000)
            if ran_before:
                expect(prompt).not_to_have_text(ran_before.group(), timeout=15_000)
            break
        except AssertionError:
            # A side bar or a dialog that was just opened may take the focus away from the cell.
            if attempt == 3:
                raise
    expect(prompt).to_have_text(re.compile(r"\[\d+\]:"), timeout=120_000)
    return cell


def open_panel(page: Page) -> Locator:
    """Show the MLOps panel in its side bar and return it."""
    panel = page.locator(".jp-mlops-panel")
    if not panel.is_visible():
        page.locator('.jp-SideBar .lm-TabBar-tab[title*="MLOps"]').click()
    expect(panel).to_be_visible()
    return panel
