"""The preview of a promotion in a real JupyterLab: what is shown is what is written."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from playwright.sync_api import Browser, Locator, Page, expect

from jupyter_mlops.pipelines import load_pipeline

from .lab import code_cells, open_notebook, run_cell, running_lab

pytestmark = pytest.mark.e2e

CELLS = [
    "%load_ext jupyter_mlops\n"
    "import pandas as pd\n"
    "from sklearn.linear_model import LogisticRegression\n"
    "from sklearn.model_selection import train_test_split\n"
    "from sklearn.pipeline import make_pipeline\n"
    "from sklearn.preprocessing import StandardScaler",
    "source = 'wine.csv'\ndf = pd.read_csv(source)",
    "df.describe()",
    "df['ratio'] = df['alcohol'] / df['malic_acid']",
    "strength = 0.5",
    "strong = df[df['alcohol'] > 13]\nstrong.head()",
    "## Train",
    "features = df.drop(columns='target')\n"
    "X_train, X_test, y_train, y_test = train_test_split(features, df['target'], random_state=1)",
    "%%track\n"
    "model = make_pipeline(StandardScaler(), LogisticRegression(C=strength))\n"
    "model.fit(X_train, y_train)\n"
    "accuracy = model.score(X_test, y_test)",
]


@pytest.fixture
def session(tmp_path: Path) -> Path:
    """A project whose notebook reads a file of real data."""
    from sklearn.datasets import load_wine

    root = tmp_path / "work"
    root.mkdir()
    (root / "pyproject.toml").write_text("")
    load_wine(as_frame=True).frame.to_csv(root / "wine.csv", index=False)
    notebook = new_notebook()
    for source in CELLS:
        make = new_markdown_cell if source.startswith("#") else new_code_cell
        notebook.cells.append(make(source))
    notebook.metadata["kernelspec"] = {
        "name": "python3", "display_name": "python3", "language": "python",
    }  # fmt: skip
    nbformat.write(notebook, root / "wine.ipynb")
    return root


def test_what_is_shown_is_written(browser: Browser, session: Path, tmp_path: Path) -> None:
    with running_lab(Path(sys.executable), session, tmp_path / "run") as lab:
        page = open_notebook(browser, lab, "wine.ipynb")
        for index in range(8):
            run_cell(page, index)
        _retype(page, 3, "df['ratio'] = 0.0")
        _delete(page, 4)
        page.locator('[data-command="jupyter-mlops:promote"]').first.click()
        preview = page.locator(".jp-mlops-promotion")
        accept = preview.locator(".jp-mlops-promotion-accept")
        expect(accept).to_be_enabled(timeout=60_000)

        _picture(page, "light")

        # The session as it was: with what was edited and deleted since, without dead ends.
        expect(preview.locator(".jp-mlops-promotion-metrics")).to_contain_text("accuracy")
        edited = preview.locator('[data-state="edited"]')
        expect(edited).to_contain_text("df['ratio'] = df['alcohol']")
        expect(edited).to_contain_text("edited since")
        deleted = preview.locator('[data-state="deleted"]')
        expect(deleted).to_contain_text("strength = 0.5")
        dropped = preview.locator(".jp-mlops-promotion-cell.jp-mlops-mod-dropped")
        for dead_end in ("df.describe()", "strong = df"):
            expect(dropped.filter(has_text=dead_end)).to_contain_text(
                "nothing that is kept uses what it makes"
            )
        expect(preview.locator(".jp-mlops-promotion-data")).to_contain_text("wine.csv")

        # By keyboard, a source.
        edited.locator(".jp-mlops-promotion-fold").focus()
        page.keyboard.press("Enter")
        expect(edited.locator(".jp-mlops-promotion-source")).to_be_visible()

        # A name that cannot be is said beside it, and can be taken back.
        row = preview.locator('[data-parameter="strength"]')
        name = row.locator(".jp-mlops-promotion-parameter-name")
        name.fill("df")
        problem = preview.locator(".jp-mlops-promotion-parameters .jp-mlops-promotion-problem")
        expect(problem).to_contain_text("is the name of something else", timeout=60_000)
        expect(accept).to_be_disabled()
        _picture(page, "problem")
        name.fill("C")
        expect(problem).to_have_count(0, timeout=60_000)
        expect(accept).to_be_enabled(timeout=60_000)

        # The steps drawn by hand.
        preview.locator(".jp-mlops-promotion-mode").select_option("one")
        expect(_steps(preview)).to_have_count(1, timeout=60_000)
        expect(accept).to_be_enabled(timeout=60_000)
        split = preview.locator(".jp-mlops-promotion-cell", has_text="features = df.drop")
        split.get_by_role("button", name="Begin a step here").click()
        expect(_steps(preview)).to_have_count(2, timeout=60_000)
        _steps(preview).nth(0).locator(".jp-mlops-promotion-step-name").fill("load")
        _steps(preview).nth(1).locator(".jp-mlops-promotion-step-name").fill("fit")
        expect(preview.locator('[data-step="fit"]')).to_be_visible(timeout=60_000)
        expect(accept).to_be_enabled(timeout=60_000)
        shown = {
            step: preview.locator(
                f'[data-step="{step}"] .jp-mlops-promotion-cell:not(.jp-mlops-mod-dropped) '
                ".jp-mlops-promotion-source"
            ).all_text_contents()
            for step in ("load", "fit")
        }
        expect(preview.locator('[data-step="fit"] .jp-mlops-promotion-handoffs')).to_contain_text(
            "df"
        )
        assert not (session / "pipelines").exists()
        accept.click()
        expect(preview.locator(".jp-mlops-promotion-verdict")).to_have_attribute(
            "data-verdict", "equal", timeout=180_000
        )
        _picture(page, "promoted")

        # What was shown is what is there.
        folder = session / "pipelines" / "wine"
        pipeline = load_pipeline(folder)
        assert [step.name for step in pipeline.steps] == ["load", "fit"]
        parameters = {p.name: p.default for p in pipeline.parameters}
        assert parameters == {"C": 0.5, "source": "wine.csv"}
        for step, sources in shown.items():
            text = _text(folder / f"{step}.ipynb")
            for line in "\n".join(sources).splitlines():
                if not line.startswith(("%", "strength", "source")):
                    assert line in text, line
            assert "describe" not in text
            assert "strong" not in text
        assert "strength = C" in _text(folder / "fit.ipynb")
        proof = json.loads((folder / "proof.json").read_text())
        assert proof["verdict"] == "equal"
        preview.locator('[data-file="fit.ipynb"] button').click()
        expect(page.locator('.lm-TabBar-tab[title*="fit.ipynb"]').first).to_be_visible()
        page.locator(".lm-TabBar-tab", has_text="Promote wine.ipynb").click()

        # Edited by hand where a new promotion changes it: both are shown, nothing is lost.
        document = nbformat.read(folder / "fit.ipynb", as_version=4)
        mine = "strength = C * 2"
        for cell in document.cells:
            cell.source = cell.source.replace("strength = C", mine)
        nbformat.write(document, folder / "fit.ipynb")
        name.fill("inverse")
        expect(accept).to_be_disabled()
        expect(accept).to_be_enabled(timeout=60_000)
        accept.click()
        conflict = preview.locator(".jp-mlops-promotion-conflict", has_text="fit.ipynb").last
        expect(conflict).to_contain_text(f"-{mine}", timeout=180_000)
        expect(conflict).to_contain_text("+strength = inverse")
        assert mine in _text(folder / "fit.ipynb")
        assert {p.name for p in load_pipeline(folder).parameters} == {"C", "source"}
        _picture(page, "conflict")
        if os.environ.get("MLOPS_PICTURES"):
            _dark(page)
            page.wait_for_timeout(1000)
            _picture(page, "conflict-dark")
            preview.locator(".jp-mlops-promotion-result button[title='Dismiss']").click()
            _picture(page, "dark")
            page.set_viewport_size({"width": 760, "height": 950})
            _picture(page, "narrow")
        page.close()


def _steps(preview: Locator) -> Locator:
    return preview.locator(".jp-mlops-promotion-step[data-step]")


def _retype(page: Page, index: int, source: str) -> None:
    code_cells(page).nth(index).locator(".cm-content").click()
    page.keyboard.press("Control+a")
    page.keyboard.type(source)
    expect(code_cells(page).nth(index)).to_contain_text(source)


def _delete(page: Page, index: int) -> None:
    count = code_cells(page).count()
    code_cells(page).nth(index).locator(".cm-content").click()
    page.keyboard.press("Escape")
    page.keyboard.press("d")
    page.keyboard.press("d")
    expect(code_cells(page)).to_have_count(count - 1)


def _text(notebook: Path) -> str:
    document = nbformat.read(notebook, as_version=4)
    return "\n".join(cell.source for cell in document.cells)


def _dark(page: Page) -> None:
    page.locator(".lm-MenuBar-item", has_text="Settings").click()
    page.locator(".lm-Menu-item", has_text="Theme").first.click()
    page.locator(".lm-Menu-item", has_text=re.compile("^JupyterLab Dark$")).click()
    page.wait_for_selector('body[data-jp-theme-light="false"]', state="attached")


def _picture(page: Page, name: str) -> None:
    """A screenshot for a person to look at, where ``MLOPS_PICTURES`` names a folder."""
    folder = os.environ.get("MLOPS_PICTURES")
    if folder:
        page.screenshot(path=str(Path(folder) / f"promote-{name}.png"))
