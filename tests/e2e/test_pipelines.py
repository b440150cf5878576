"""A pipeline is run from the panel, by a form of its parameters."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import nbformat
from playwright.sync_api import Browser, Page, expect

from .conftest import write_notebook
from .lab import open_notebook, open_panel, run_cell, running_lab

SHOTS = os.environ.get("MLOPS_SHOTS")  # a folder, to look at what the test sees

PIPELINE = """\
name: halves
version: 1
description: Half of a length.
parameters:
  n: {default: 4, type: integer, minimum: 0, description: The length}
  unit: {default: m, enum: [m, km]}
  exact: {default: true, type: boolean}
steps:
  - name: halve
    notebook: halve.ipynb
"""
CELLS = ["%load_ext jupyter_mlops", "%%track\nlength = 4.0"]


def shot(page: Page, name: str) -> None:
    if SHOTS:
        page.screenshot(path=f"{SHOTS}/{name}.png")


def make(root: Path) -> None:
    folder = root / "pipelines" / "halves"
    folder.mkdir(parents=True)
    (root / "pyproject.toml").write_text("")
    (folder / "pipeline.yaml").write_text(PIPELINE)
    (root / "pipelines" / "broken").mkdir()
    (root / "pipelines" / "broken" / "pipeline.yaml").write_text("name: broken\n")
    parameters = nbformat.v4.new_code_cell(
        "n = 4\nunit = 'm'\nexact = True", metadata={"tags": ["parameters"]}
    )
    halve = nbformat.v4.new_code_cell("half = n / 2\nassert half < 100, f'{half} {unit} is long'")
    notebook = nbformat.v4.new_notebook(cells=[parameters, halve])
    nbformat.write(notebook, folder / "halve.ipynb")
    write_notebook(root / "work.ipynb", cells=CELLS)


def test_a_pipeline_is_run_by_a_form(browser: Browser, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    make(root)
    with running_lab(Path(sys.executable), root, tmp_path / "run") as lab:
        page = open_notebook(browser, lab, "work.ipynb")
        panel = open_panel(page)
        run_cell(page, 0)
        run_cell(page, 1)
        section = panel.locator(".jp-mlops-section-pipelines")
        item = section.locator('[data-pipeline="halves"]')
        expect(item).to_contain_text("3 parameters", timeout=60_000)
        expect(section).to_contain_text("not valid")
        expect(section).to_contain_text("the key 'version' is missing")

        item.locator(".jp-mlops-run-pipeline").click()
        form = page.locator(".jp-Dialog .jp-mlops-form")
        length = form.locator('[data-parameter="n"] input')
        expect(length).to_be_focused()
        expect(length).to_have_value("4")
        expect(form).to_contain_text("The length · integer, ≥ 0")
        shot(page, "run-form")

        # What does not fit is said in the form, which keeps what was typed.
        length.fill("many")
        form.locator('[data-parameter="unit"] select').select_option("km")
        page.keyboard.press("Enter")
        expect(form.get_by_role("alert")).to_contain_text("'n'", timeout=30_000)
        expect(length).to_have_value("many")
        expect(form.locator('[data-parameter="unit"] select')).to_have_value("1")
        shot(page, "run-refused")
        length.fill("1000")
        page.keyboard.press("Enter")
        expect(form).to_have_count(0, timeout=30_000)
        expect(item.locator(".jp-mlops-item-error")).to_contain_text(
            "step halve, cell [3]: AssertionError: 500.0 km is long", timeout=120_000
        )
        shot(page, "run-failed")

        item.locator(".jp-mlops-run-pipeline").click()
        form.locator('[data-parameter="exact"] input').uncheck()
        length.fill("10")
        length.press("Enter")
        said = page.locator(".Toastify__toast", has_text="halves has run.")
        expect(said).to_be_visible(timeout=120_000)
        expect(item.locator(".jp-mlops-item-error")).to_have_count(0)
        shot(page, "run-done")
        page.close()
