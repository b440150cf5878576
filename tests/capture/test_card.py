from __future__ import annotations

import json
import math
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mlops.capture.card import MIME, bundle, card_payload, render_html, render_text
from jupyter_mlops.model.events import ModelRecord, RunRecord

RUN = RunRecord(
    run_id="01HZZZZZZZZZZZZZZZZZZZZZZZ",
    session="s",
    name="taxi #1",
    status="FINISHED",
    started=100.0,
    ended=100.4123,
    params={"lr": 0.1, "cols": ["a"], "flag": True},
    metrics={"n": 1200.0, "accuracy": 0.91234567},
    models=(
        ModelRecord("model", "LogisticRegression", blob="ab"),
        ModelRecord("big", "RandomForestClassifier", reason="larger than the limit"),
    ),
    register="taxi",
    register_model="model",
    notebook="taxi.ipynb",
    warnings=("%%track --x: unknown option",),
)


def payload(run: RunRecord = RUN, **changes: Any) -> dict[str, Any]:
    options: dict[str, Any] = {"experiment": "pricing", "root": Path("/w/proj"), "first": True}
    return card_payload(run, **(options | changes))


def test_the_payload_is_the_contract_with_the_front_end() -> None:
    assert payload() == {
        "version": 1,
        "run_id": RUN.run_id,
        "name": "taxi #1",
        "status": "FINISHED",
        "experiment": "pricing",
        "project": "/w/proj",
        "duration": 0.4123,
        "params": {"lr": 0.1, "cols": ["a"], "flag": True},
        "metrics": {"n": 1200.0, "accuracy": 0.91234567},
        "models": [
            {"name": "model", "class_name": "LogisticRegression", "kept": True, "reason": None},
            {
                "name": "big",
                "class_name": "RandomForestClassifier",
                "kept": False,
                "reason": "larger than the limit",
            },
        ],
        "register": "taxi",
        "registered_model": "model",
        "notebook": "taxi.ipynb",
        "error": None,
        "warnings": ["%%track --x: unknown option"],
        "first": True,
        "dry_run": False,
    }


def test_one_line_of_text_and_one_for_each_warning() -> None:
    assert render_text(payload()).splitlines() == [
        "run taxi #1: finished in 0.412 s | accuracy=0.91235, n=1200 | "
        "model model (LogisticRegression) | registers taxi | project /w/proj",
        "jupyter_mlops: %%track --x: unknown option",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0004, "0 ms"), (0.0123, "12 ms"), (3.14159, "3.14 s"), (125, "2 min 5 s")],
)  # fmt: skip
def test_durations(seconds: float, text: str) -> None:
    run = replace(RUN, ended=RUN.started + seconds)
    assert f"in {text} |" in render_text(payload(run))


class Checker(HTMLParser):
    """Collects text and refuses anything that is not well nested or not from us."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in {"div", "span", "strong", "code"}
        assert {name for name, _ in attrs} <= {"style", "aria-hidden"}
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read_html(html: str) -> str:
    checker = Checker()
    checker.feed(html)
    checker.close()
    assert checker.open == []
    return checker.text


def test_the_html_shows_everything_and_needs_nothing() -> None:
    html = render_html(payload())
    text = read_html(html)
    for part in ("taxi #1", "pricing", "accuracy", "0.91235", "1200", "lr", "0.1",
                 "LogisticRegression", "not kept: larger than the limit", "a version of taxi",
                 "/w/proj", "unknown option"):  # fmt: skip
        assert part in text
    assert "http" not in html
    assert "<script" not in html
    # Readable in light and dark: text takes the colour around it, only the mark has its own.
    assert html.count("color:#") == 1


@given(st.text(), st.text(), st.text())
def test_nothing_of_the_notebook_is_markup(name: str, value: str, reason: str) -> None:
    evil = "</div><script>alert(1)</script>"
    run = replace(
        RUN,
        name=name + evil,
        params={name + evil: value + evil, "l": [evil]},
        metrics={evil + value: 1.0},
        models=(ModelRecord(evil, evil, reason=reason + evil),),
        register=evil,
        error={"ename": evil, "evalue": value},
        warnings=(evil,),
    )
    html = render_html(payload(run, experiment=evil, root=Path("/" + evil)))
    read_html(html)
    assert "<script" not in html
    json.dumps(payload(run))


def test_many_values_are_counted() -> None:
    run = replace(RUN, metrics={f"m{i}": float(i) for i in range(40)})
    text = read_html(render_html(payload(run)))
    assert "and 28 more" in text
    assert "(+37)" in render_text(payload(run))
    assert len(payload(run)["metrics"]) == 40


def test_numbers_that_json_lacks_are_words() -> None:
    run = replace(
        RUN, metrics={"a": math.nan, "b": -math.inf}, params={"c": math.inf, "d": [math.nan]}
    )
    card = payload(run)
    json.dumps(bundle(card), allow_nan=False)
    assert card["metrics"] == {"a": "NaN", "b": "-Infinity"}
    assert card["params"] == {"c": "Infinity", "d": ["NaN"]}
    assert "a=NaN" in render_text(card)


def test_later_cards_and_dry_runs_do_not_print_the_project() -> None:
    assert "/w/proj" not in render_text(payload(first=False))
    dry = payload(dry_run=True)
    assert "nothing recorded" in render_text(dry)
    assert "/w/proj" not in render_html(dry)
    assert RUN.run_id[:10] not in render_html(dry)


def test_a_root_below_home_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/w")
    assert payload()["project"] == "~/proj"


def test_the_bundle_has_a_form_for_each_front_end() -> None:
    assert set(bundle(payload())) == {MIME, "text/html", "text/plain"}
