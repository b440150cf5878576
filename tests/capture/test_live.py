from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from jupyter_mlops.capture.card import MIME, bundle, card_payload
from jupyter_mlops.capture.display import show_card
from jupyter_mlops.capture.live import LiveCard
from jupyter_mlops.config import Config
from jupyter_mlops.model.events import RunRecord, RunStarted
from jupyter_mlops.model.wiring import replaced_port
from jupyter_mlops.project import Project

STARTED = RunStarted("01HZ", "s", 1.0, "taxi #1")
FINAL = RunRecord("01HZ", "s", "taxi #1", "FINISHED", 1.0, 9.0, metrics={"loss": 0.1})


class Publisher:
    def __init__(self) -> None:
        self.shown: list[dict[str, Any]] = []
        self.broken = False

    def publish(
        self, data: Any, metadata: Any, transient: Any = None, update: bool = False
    ) -> None:
        if self.broken:
            raise ConnectionError("gone")
        self.shown.append({"data": data, "transient": transient, "update": update})


class Shell:
    """A kernel's shell with a publisher that collects."""

    def __init__(self, kernel: object | None = 1, **names: Any) -> None:
        self.kernel = kernel
        self.user_ns = names
        self.display_pub = Publisher()


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def series(*values: float) -> dict[str, list[list[float]]]:
    return {"loss": [[i, value, 0.0] for i, value in enumerate(values)]}


def test_nothing_in_the_first_second_then_at_most_one_picture_a_second() -> None:
    shell, clock = Shell(), Clock()
    live = LiveCard(shell, STARTED, experiment="e", root=Path("/w"), clock=clock)
    assert not live.update(series(0.9), 0.4)
    assert not live.shown
    assert live.update(series(0.9, 0.8), 1.2)
    for tenth in range(30):
        clock.now += 0.1
        live.update(series(0.9, 0.8, 0.7), 1.3 + tenth / 10)
    first, *later = shell.display_pub.shown
    assert [shown["update"] for shown in (first, *later)] == [False, True, True]
    assert {shown["transient"]["display_id"] for shown in (first, *later)} == {live.display_id}
    card = later[-1]["data"][MIME]
    assert card["live"] is True
    assert card["metrics"] == {"loss": 0.7}
    assert set(first["data"]) == {MIME, "text/html", "text/plain"}


def test_the_final_card_takes_its_place(project: Project) -> None:
    shell, clock = Shell(), Clock()
    card = card_payload(FINAL, experiment="e", root=project.root, first=False)
    live = LiveCard(shell, STARTED, clock=clock)
    live.update(series(0.5), 2.0)
    show_card(shell, card, project, Config(), live)
    shown = shell.display_pub.shown
    assert [item["update"] for item in shown] == [False, True]
    assert shown[1]["data"] == bundle(card)
    assert shown[1]["transient"] == {"display_id": live.display_id}
    clock.now += 5
    assert not live.update(series(0.5, 0.4), 7.0)  # A thread that trains on after the cell.


def test_without_a_live_card_the_final_one_is_a_display_of_its_own(project: Project) -> None:
    shell = Shell()
    card = card_payload(FINAL, experiment="e", root=project.root, first=False)
    live = LiveCard(shell, STARTED)
    live.update(series(0.5), 0.2)
    show_card(shell, card, project, Config(), live)
    (shown,) = shell.display_pub.shown
    assert shown == {
        "data": bundle(card),
        "transient": {"display_id": live.display_id},
        "update": False,
    }


def test_in_vs_code_the_widget_takes_its_place(project: Project) -> None:
    shell = Shell(__vsc_ipynb_file__="/n.ipynb")
    card = card_payload(FINAL, experiment="e", root=project.root, first=False)
    live = LiveCard(shell, STARTED)
    live.update(series(0.5), 2.0)

    def widget(card: Any, data: Any, register: Any, publish: Any) -> None:
        publish({**data, "widget": 1})

    with replaced_port("widget_card", widget):
        show_card(shell, card, project, Config(), live)
    assert shell.display_pub.shown[-1]["data"]["widget"] == 1
    assert shell.display_pub.shown[-1]["update"] is True


def test_terminals_which_cannot_replace_an_output_show_nothing() -> None:
    shell = Shell(kernel=None)
    live = LiveCard(shell, STARTED)
    assert not live.update(series(0.5), 60.0)
    assert not live.finish({})
    assert shell.display_pub.shown == []


def test_it_shows_where_the_cell_was_begun_and_not_in_a_capture_of_the_cell() -> None:
    shell = Shell()
    live = LiveCard(shell, STARTED)
    before, shell.display_pub = shell.display_pub, Publisher()
    live.update(series(0.5), 2.0)
    assert shell.display_pub.shown == []
    assert len(before.shown) == 1


def test_a_front_end_that_has_gone_costs_the_cell_nothing() -> None:
    shell, clock = Shell(), Clock()
    live = LiveCard(shell, STARTED, clock=clock)
    shell.display_pub.broken = True
    assert not live.update(series(0.5), 2.0)
    assert not live.finish({})
    unprintable: Any = {"loss": [[0, object(), 0.0]]}
    assert not LiveCard(Shell(), STARTED).update(unprintable, 2.0)


def test_threads_that_log_at_once() -> None:
    shell = Shell()
    live = LiveCard(shell, STARTED)
    data = series(0.5)

    def work() -> None:
        for step in range(200):
            data[f"m{threading.get_ident()}{step}"] = [[0, 1.0, 0.0]]
            live.update(data, 5.0)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert shell.display_pub.shown[0]["update"] is False
    assert len(shell.display_pub.shown) <= 3
