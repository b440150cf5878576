"""Snapshots in the panel of a real JupyterLab: seen, opened, compared, tagged, restored."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from .conftest import write_notebook
from .lab import (
    code_cells,
    dialog_has_focus,
    open_notebook,
    open_panel,
    run_cell,
    running_lab,
)

pytestmark = pytest.mark.e2e

SHOTS = os.environ.get("MLOPS_SHOTS")  # a folder, to look at what the test sees

CELLS = [
    "%load_ext jupyter_mlops\n"
    "import numpy as np, pandas as pd\n"
    "rng = np.random.default_rng(0)\n"
    "orders = pd.DataFrame({\n"
    "    'id': np.arange(2000), 'price': rng.gamma(2, 20, 2000).round(2),\n"
    "    'city': rng.choice(['Bern', 'Chur', 'Zug'], 2000, p=[.6, .3, .1]),\n"
    "    'paid': pd.date_range('2026-01-01', periods=2000, freq='h'),\n"
    "})\n"
    "orders.loc[::50, 'price'] = np.nan",
    "%snapshot orders -n data/orders.csv -m 'as it came' --tag raw",
    "orders['price'] = orders['price'].fillna(0)\n"
    "orders.loc[:59, 'price'] *= 2\n"
    "orders = orders[orders.index % 100 != 99]",
    "%snapshot orders -n data/orders.csv -m 'missing prices are zero'",
    "",
]


def shot(page: Page, name: str) -> None:
    if SHOTS:
        page.screenshot(path=f"{SHOTS}/{name}.png")


def unfold(panel: Locator) -> None:
    """Make room: all sections but that of snapshots are folded."""
    for title in panel.locator(".lm-AccordionPanel-title").all():
        wanted = "Snapshots" in (title.text_content() or "")
        if (title.get_attribute("aria-expanded") == "true") != wanted:
            title.click()
            expect(title).to_have_attribute("aria-expanded", str(wanted).lower())


def test_versions_of_data_in_the_panel(browser: Browser, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "pyproject.toml").write_text("")
    write_notebook(root / "orders.ipynb", cells=CELLS)
    with running_lab(Path(sys.executable), root, tmp_path / "run") as lab:
        page = open_notebook(browser, lab, "orders.ipynb")
        panel = open_panel(page)
        run_cell(page, 0)
        run_cell(page, 1)

        # Without a reload: the first snapshot of a project that had none.
        first = panel.locator('.jp-mlops-snapshot[data-snapshot="data/orders.csv@1"]')
        expect(first).to_be_attached(timeout=60_000)
        unfold(panel)
        expect(first).to_contain_text("2,000 × 4")
        expect(first).to_contain_text("raw")
        run_cell(page, 2)
        run_cell(page, 3)
        second = panel.locator('.jp-mlops-snapshot[data-snapshot="data/orders.csv@2"]')
        expect(second).to_contain_text("missing prices are zero", timeout=30_000)
        expect(second).to_contain_text("1,980 × 4")
        shot(page, "list-light")

        # What it holds, by keyboard.
        first.locator(".jp-mlops-snapshot-open").focus()
        page.keyboard.press("Enter")
        details = page.locator(".jp-Dialog .jp-mlops-snapshotview")
        price = details.locator(".jp-mlops-snapshot-columns tbody tr", has_text="price").first
        expect(price).to_contain_text("float64", timeout=60_000)
        expect(price.locator("td").nth(1)).to_have_text("40")
        dialog_has_focus(page)
        city = details.get_by_role("button", name="city")
        city.focus()
        page.keyboard.press("Enter")
        expect(city).to_have_attribute("aria-expanded", "true")
        more = details.locator(".jp-mlops-snapshot-more")
        expect(more).to_contain_text("Bern")
        expect(more).to_contain_text("Length of the texts")
        price.get_by_role("button").click()
        shot(page, "details-light")
        details.get_by_role("button", name="Insert into the notebook").click()
        expect(details).to_have_count(0)

        # The inserted cell restores what was kept.
        index = inserted(page, "orders = %restore data/orders.csv@1")
        run_cell(page, index)
        page.keyboard.press("Escape")
        page.keyboard.press("b")
        code_cells(page).nth(index + 1).locator(".cm-content").click()
        page.keyboard.type("len(orders), int(orders.price.isna().sum())")
        checked = run_cell(page, index + 1)
        expect(checked.locator(".jp-OutputArea-output")).to_have_text("(2000, 40)")

        # Two versions side by side, a page at a time.
        first.locator(".jp-mlops-snapshot-choose").check()
        second.locator(".jp-mlops-snapshot-choose").check()
        panel.locator(".jp-mlops-compare-snapshots").click()
        diff = page.locator(".jp-Dialog .jp-mlops-snapshotdiff")
        expect(diff).to_contain_text("Rows: 2,000 → 1,980.", timeout=60_000)
        pager = diff.locator(".jp-mlops-pager")
        expect(pager.get_by_role("status")).to_have_text("1–50 of 118")
        expect(diff.locator(".jp-mlops-snapshot-rows tbody tr")).to_have_count(50)
        shot(page, "diff-light")
        dialog_has_focus(page)
        next_page = pager.get_by_role("button", name="Next")
        next_page.focus()
        page.keyboard.press("Enter")
        expect(pager.get_by_role("status")).to_have_text("51–100 of 118", timeout=30_000)
        page.keyboard.press("Enter")
        expect(pager.get_by_role("status")).to_have_text("101–118 of 118", timeout=30_000)
        expect(next_page).to_be_disabled()
        expect(next_page).to_be_focused()
        expect(diff.locator(".jp-mlops-mod-removed").last).to_contain_text("1999")
        diff.locator(".jp-mlops-snapshot-key textarea").fill("id")
        page.keyboard.press("Enter")
        expect(diff).to_contain_text("id=0", timeout=30_000)
        page.keyboard.press("Escape")
        expect(diff).to_have_count(0)

        # What all of it takes.
        panel.get_by_role("button", name="Space on disk").click()
        space = page.locator(".jp-Dialog .jp-mlops-snapshotspace")
        expect(space).to_contain_text("on disk with the index;", timeout=30_000)
        row = space.locator("tbody tr")
        expect(row.locator("th")).to_have_text("data/orders.csv")
        expect(row.locator("td").first).to_have_text("2")
        dialog_has_focus(page)
        shot(page, "space-light")
        page.keyboard.press("Escape")
        expect(space).to_have_count(0)

        # A tag by its form; a removed version comes back.
        second.hover()
        second.locator(".jp-mlops-tag").click()
        page.locator(".jp-Dialog .jp-mlops-tag-name").fill("clean")
        page.keyboard.press("Enter")
        expect(second.locator(".jp-mlops-chip")).to_have_text("clean", timeout=30_000)
        second.hover()
        second.locator(".jp-mlops-remove").click()
        second.locator(".jp-mlops-remove-confirm").click()
        expect(second).to_have_count(0, timeout=30_000)
        said = page.locator(".Toastify__toast", has_text="Removed data/orders.csv@2.")
        said.get_by_role("button", name="Undo").click()
        expect(second.locator(".jp-mlops-chip")).to_have_text("clean", timeout=30_000)

        # Dropped on the notebook it is a cell.
        count = code_cells(page).count()
        drag(page, second, code_cells(page).nth(0))
        expect(code_cells(page)).to_have_count(count + 1)
        inserted(page, "orders = %restore data/orders.csv@2")
        page.close()


def inserted(page: Page, code: str) -> int:
    """The number of the cell that holds ``code``, once there is one."""
    expect(code_cells(page).locator(".cm-content", has_text=code)).to_be_visible()
    cells = code_cells(page)
    return next(
        n for n in range(cells.count()) if cells.nth(n).locator(".cm-content").inner_text() == code
    )


def drag(page: Page, source: Locator, target: Locator) -> None:
    start, end = source.bounding_box(), target.bounding_box()
    assert start is not None
    assert end is not None
    page.mouse.move(start["x"] + start["width"] / 2, start["y"] + start["height"] - 6)
    page.mouse.down()
    page.mouse.move(end["x"] + 200, end["y"] + end["height"] - 4, steps=25)
    expect(page.locator(".jp-dragImage, .lm-mod-drag-image").first).to_be_visible()
    page.mouse.move(end["x"] + 205, end["y"] + end["height"] - 5, steps=3)
    page.mouse.up()
