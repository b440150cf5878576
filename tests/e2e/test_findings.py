"""Marks on the cells in a real JupyterLab: stale cells while one works, reasons and fixes."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from .conftest import write_notebook
from .lab import code_cells, open_notebook, run_cell, running_lab

pytestmark = pytest.mark.e2e

CELLS = [
    "%load_ext jupyter_mlops",
    "rate = 2",
    "%%track\ntotal = rate * 10",
    "print(total)",
    "parts = []",
    "parts.append(total)",
    "print(rate)",
]


def retype(page: Page, index: int, source: str) -> None:
    code_cells(page).nth(index).locator(".cm-content").click()
    page.keyboard.press("Control+a")
    page.keyboard.type(source)
    page.keyboard.press("Control+Enter")


def test_cells_are_marked_while_one_works(browser: Browser, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "pyproject.toml").write_text("")
    write_notebook(root / "rates.ipynb", cells=CELLS)
    with running_lab(Path(sys.executable), root, tmp_path / "run") as lab:
        page = open_notebook(browser, lab, "rates.ipynb")
        for index in range(len(CELLS)):
            run_cell(page, index)
        cells = code_cells(page)
        stale = page.locator(".jp-CodeCell.jp-mlops-stale")

        # Appending to what another cell made is a warning; nothing is out of date.
        warning = cells.nth(5).locator(".jp-mlops-mark-warning")
        expect(warning).to_be_visible(timeout=20_000)
        expect(stale).to_have_count(0)
        expect(page.locator(".jp-mlops-mark")).to_have_count(1)

        # By keyboard, the reason and the fix.
        details = cells.nth(5).locator(".jp-mlops-mark-details")
        expect(details).to_be_hidden()
        warning.focus()
        page.keyboard.press("Enter")
        expect(warning).to_have_attribute("aria-expanded", "true")
        expect(details).to_contain_text("NB006")
        expect(details).to_contain_text("Fix: Make a new object here, or change parts in")
        page.keyboard.press("Enter")
        expect(details).to_be_hidden()

        # Another rate: what used it is out of date, and what uses that.
        retype(page, 1, "rate = 3")
        expect(stale).to_have_count(4, timeout=20_000)
        for index in (2, 3, 5, 6):
            expect(cells.nth(index)).to_have_class(_with("jp-mlops-stale"))
        mark = cells.nth(3).locator(".jp-mlops-mark-stale")
        expect(mark).to_have_attribute("aria-label", _with("Out of date"))
        mark.click()
        _picture(page, "stale")

        # Run again, one after the other, they are not.
        run_cell(page, 2)
        run_cell(page, 3)
        expect(cells.nth(2)).not_to_have_class(_with("jp-mlops-stale"), timeout=20_000)
        expect(cells.nth(3)).not_to_have_class(_with("jp-mlops-stale"), timeout=20_000)
        expect(cells.nth(6)).to_have_class(_with("jp-mlops-stale"))

        # Twice on top of itself is an error.
        run_cell(page, 5)
        error = cells.nth(5).locator(".jp-mlops-mark-error")
        expect(error).to_be_visible(timeout=20_000)
        expect(error).to_have_attribute("title", _with("NB004"))
        _picture(page, "twice")


def _with(text: str) -> re.Pattern[str]:
    return re.compile(re.escape(text))


def _picture(page: Page, name: str) -> None:
    """A screenshot for a person to look at, where ``MLOPS_PICTURES`` names a folder."""
    folder = os.environ.get("MLOPS_PICTURES")
    if folder:
        page.screenshot(path=str(Path(folder) / f"findings-{name}.png"))
