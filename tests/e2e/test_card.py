"""The run card in a real JupyterLab: while its cell runs, compared, and exported."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Browser, expect

from .lab import code_cells, open_notebook, run_cell, running_lab

pytestmark = pytest.mark.e2e

FIT = """%%track
import math, time
from jupyter_mlops import track
rate = {rate}
for step in range(80):
    loss = math.exp(-step * rate)
    track.log(loss=loss, step=step)
    time.sleep(0.1)
accuracy = 1 - loss
"""


def test_a_card_lives_ends_compares_and_is_exported(browser: Browser, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "pyproject.toml").write_text("")
    sources = ["%load_ext jupyter_mlops", FIT.format(rate=0.05), FIT.format(rate=0.2)]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(s) for s in sources])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(notebook, root / "curve.ipynb")
    with running_lab(Path(sys.executable), root, tmp_path / "run") as lab:
        page = open_notebook(browser, lab, "curve.ipynb")
        run_cell(page, 0)
        run_cell(page, 1)
        cell = code_cells(page).nth(2)
        card = cell.locator(".jp-mlops-card")
        cell.locator(".cm-content").click()
        page.keyboard.press("Control+Enter")
        expect(card).to_contain_text("running", timeout=20_000)
        expect(card.locator("svg[aria-label^='loss over']")).to_be_visible()
        expect(card.locator(".jp-mlops-card-actions")).to_have_count(0)

        # The final card takes its place: there is one, of the same run.
        expect(card).to_contain_text("finished", timeout=60_000)
        expect(card).to_have_count(1)
        expect(card).to_contain_text("against last run curve #1")
        expect(card.locator(".jp-mlops-delta.jp-mlops-mod-better")).to_have_count(2)
        expect(card).to_contain_text("(was 0.05)")

        # By keyboard: what is behind the fold, then the comparison.
        fold = card.locator(".jp-mlops-card-fold")
        expect(fold).to_have_attribute("aria-expanded", "false")
        fold.focus()
        page.keyboard.press("Enter")
        expect(fold).to_have_attribute("aria-expanded", "true")
        expect(card.locator(".jp-mlops-card-details")).to_contain_text("Python")
        card.get_by_role("button", name="Compare").focus()
        page.keyboard.press("Enter")
        dialog = page.locator(".jp-Dialog .jp-mlops-compare")
        expect(dialog).to_contain_text("rate", timeout=30_000)
        expect(dialog.locator(".jp-mlops-curves polyline")).to_have_count(2)
        expect(dialog.locator(".jp-mlops-diff .jp-mlops-mod-add")).to_have_text("+rate = 0.2\n")
        page.keyboard.press("Escape")
        page.keyboard.press("Control+s")
        expect(page.locator(".lm-TabBar-tab.jp-mod-dirty")).to_have_count(0, timeout=15_000)
        page.close()

        outputs = nbformat.read(root / "curve.ipynb", as_version=4).cells[2].outputs
        assert "application/vnd.jupyter-mlops.run+json" in json.dumps(outputs)
        assert len(outputs) == 1
        command = [sys.executable, "-m", "jupyter", "nbconvert", "--to", "html", "--no-input"]
        subprocess.run(
            [*command, "curve.ipynb"], cwd=root, env=dict(lab.environment), check=True, timeout=120
        )
        page = browser.new_page(java_script_enabled=False)
        page.goto((root / "curve.html").as_uri())
        exported = page.locator("div", has=page.locator("strong", has_text="curve #2")).last
        expect(exported).to_contain_text("finished in")
        details = page.locator("details").last
        expect(details.get_by_text("environment")).not_to_be_visible()
        details.locator("summary").click()
        expect(details.get_by_text("environment")).to_be_visible()
        page.close()
