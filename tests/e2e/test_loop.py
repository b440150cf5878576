"""The loop as a person walks it in JupyterLab."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from .lab import code_cells, open_notebook, open_panel, run_cell, running_lab

pytestmark = pytest.mark.e2e


def drag(page: Page, source: Locator, target: Locator) -> None:
    """Drag as a hand does: press, move in steps, wait for the drop to be possible, release."""
    start, end = source.bounding_box(), target.bounding_box()
    assert start is not None
    assert end is not None
    page.mouse.move(start["x"] + start["width"] / 3, start["y"] + start["height"] / 2)
    page.mouse.down()
    page.mouse.move(end["x"] + 200, end["y"] + end["height"] - 4, steps=25)
    expect(page.locator(".jp-dragImage, .lm-mod-drag-image").first).to_be_visible()
    page.mouse.move(end["x"] + 205, end["y"] + end["height"] - 5, steps=3)
    page.mouse.up()


def test_track_register_see_drag_and_run(browser: Browser, work: Path, tmp_path: Path) -> None:
    with running_lab(Path(sys.executable), work, tmp_path / "run") as lab:
        page = open_notebook(browser, lab, "wine.ipynb")
        panel = open_panel(page)
        expect(panel.locator(".jp-mlops-empty").first).to_contain_text("%%track")

        run_cell(page, 0)
        run_cell(page, 1)
        tracked = run_cell(page, 2)
        card = tracked.locator(".jp-mlops-card")
        expect(card).to_contain_text("accuracy")

        # Without a reload: the server's event brings the new version into the panel.
        version = panel.locator('.jp-mlops-version[data-model="wine"][data-version="1"]')
        expect(version).to_be_visible(timeout=60_000)
        expect(version).to_contain_text("accuracy")
        expect(card).to_contain_text("wine", timeout=30_000)

        count = code_cells(page).count()
        drag(page, version, code_cells(page).nth(3))
        expect(code_cells(page)).to_have_count(count + 1)
        index = next(
            i
            for i in range(count + 1)
            if "load_model" in code_cells(page).nth(i).locator(".cm-content").inner_text()
        )
        loaded = run_cell(page, index)
        expect(loaded.locator(".jp-OutputArea")).not_to_contain_text("Error")

        # The model that was loaded is the model that was fitted.
        page.keyboard.press("Escape")
        page.keyboard.press("b")
        check = code_cells(page).nth(index + 1)
        check.locator(".cm-content").click()
        page.keyboard.type("bool((model.predict(X_test) == forest.predict(X_test)).all())")
        checked = run_cell(page, index + 1)
        expect(checked.locator(".jp-OutputArea-output")).to_have_text("True")
        page.close()
