from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import ipywidgets
import pytest

from jupyter_mlops.capture import display
from jupyter_mlops.capture.card import bundle, card_payload
from jupyter_mlops.config import Config
from jupyter_mlops.errors import MlopsError, ServiceError
from jupyter_mlops.model.events import ModelRecord, RunRecord
from jupyter_mlops.model.wiring import replaced_port
from jupyter_mlops.project import Project
from jupyter_mlops.widgets.card import Card, show


def payload(**changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "run_id": "01HZZZZZZZZZZZZZZZZZZZZZZZ",
        "session": "s",
        "name": "Taxi Tips #3",
        "status": "FINISHED",
        "started": 1.0,
        "ended": 2.0,
        "models": (ModelRecord("model", "LogisticRegression", blob="ab"),),
        "register_model": "model",
    }
    run = RunRecord(**(values | changes))
    return card_payload(run, experiment="e", root=Path("/w"), first=False)


class Registry:
    """Stands for the agent: answers with a version, or with an error."""

    def __init__(self, answer: Mapping[str, Any] | Exception) -> None:
        self.answer = answer
        self.calls: list[tuple[str, str | None, bool]] = []

    def __call__(self, name: str, model: str | None) -> Mapping[str, Any]:
        in_main = threading.current_thread() is threading.main_thread()
        self.calls.append((name, model, in_main))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture(autouse=True)
def no_widgets_left() -> Iterator[None]:
    yield
    ipywidgets.Widget.close_all()


def click(card: Card) -> str:
    card.button.click()
    if card.thread is not None:
        card.thread.join(30)
    return str(card.outcome.value)


def test_registering_asks_the_agent_off_the_main_thread_and_shows_the_version() -> None:
    registry = Registry({"name": "taxi-tips", "version": 4})
    card = Card(payload(), "<b>card</b>", registry)
    assert card.name.value == "taxi-tips"
    assert "as version 4" in click(card)
    assert registry.calls == [("taxi-tips", "model", False)]
    assert card.button.disabled
    card.button.click()
    assert len(registry.calls) == 1


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ServiceError("<b> is away", hint="Start it."), "&lt;b&gt; is away. Start it."),
        (MlopsError("no"), "no"),
        (RuntimeError("broken"), "RuntimeError: broken"),
    ],
)  # fmt: skip
def test_an_error_is_shown_and_may_be_tried_again(error: Exception, words: str) -> None:
    card = Card(payload(), "", Registry(error))
    assert words in click(card)
    assert not card.button.disabled


@pytest.mark.parametrize(
    ("name", "words"), [("", "Give the model a name"), ("a/b", "cannot name a model")]
)
def test_a_bad_name_is_not_sent(name: str, words: str) -> None:
    registry = Registry({})
    card = Card(payload(), "", registry)
    card.name.value = name
    assert words in click(card)
    assert registry.calls == []


@pytest.mark.parametrize(
    "changes",
    [
        {"models": (), "register_model": None},
        {"models": (ModelRecord("model", "M", reason="too large"),)},
        {"status": "FAILED"},
        {"register": "taxi"},
    ],
    ids=["no model", "not kept", "failed", "registered already"],
)
def test_without_anything_to_register_there_is_only_the_card(changes: dict[str, Any]) -> None:
    card = Card(payload(**changes), "<b>card</b>", Registry({}))
    (html,) = card.box.children
    assert html.value == "<b>card</b>"


def test_what_has_no_button_has_its_words() -> None:
    baseline = {"label": "last run", "run_id": "01HA<", "metrics": {}, "params": {}}
    run = RunRecord(
        "01HZ", "s", "taxi #3", "FINISHED", 1.0, 2.0, notebook="t.ipynb", metrics={"auc": 0.9}
    )
    card = card_payload(run, experiment="e", root=Path("/w"), first=False, baseline=baseline)
    (html,) = Card(card, "", Registry({})).box.children
    assert "%mlops compare 01HA&lt; 01HZ" in html.value
    assert "%promote" in html.value


def test_what_is_displayed_falls_back_to_html() -> None:
    shown: list[Mapping[str, Any]] = []
    card = payload()
    show(card, bundle(card), Registry({}), shown.append)
    (data,) = shown
    assert "application/vnd.jupyter.widget-view+json" in data
    assert data["text/html"] == bundle(card)["text/html"]


class FakeShell:
    """A shell with VS Code's mark, which collects what is published."""

    def __init__(self, **names: Any) -> None:
        self.user_ns = names
        self.shown: list[dict[str, Any]] = []
        self.display_pub = self

    def publish(self, data: dict[str, Any], metadata: Any) -> None:
        self.shown.append(data)


def test_the_widget_is_for_vs_code_and_never_costs_the_card(project: Project) -> None:
    widgets: list[Any] = []

    def broken(*_: Any) -> None:
        raise ImportError("no ipywidgets")

    elsewhere, vscode = FakeShell(), FakeShell(__vsc_ipynb_file__="/n.ipynb")
    with replaced_port("widget_card", lambda *arguments: widgets.append(arguments)):
        display.show_card(elsewhere, payload(), project, Config())
        display.show_card(vscode, payload(), project, Config())
        display.show_card(vscode, payload())  # A dry run has nothing to register.
    assert len(widgets) == 1
    assert len(elsewhere.shown) == len(vscode.shown) == 1
    with replaced_port("widget_card", broken):
        display.show_card(vscode, payload(), project, Config())
    assert len(vscode.shown) == 2


def test_without_an_agent_the_command_is_named(project: Project) -> None:
    with pytest.raises(ServiceError) as caught:
        display.register_run(project, Config(agent=False), "01HZ", "my model", "m")
    assert caught.value.hint == "Run: jupyter mlops models register 01HZ 'my model' --model m"
