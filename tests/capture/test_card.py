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

from jupyter_mlops.capture.card import (
    LIMIT,
    MIME,
    bundle,
    card_payload,
    live_payload,
    mlflow_link,
    render_html,
    render_text,
)
from jupyter_mlops.config import Config
from jupyter_mlops.model.events import (
    EnvironmentRecord,
    FileRecord,
    InputRecord,
    ModelRecord,
    RunRecord,
    RunStarted,
)
from jupyter_mlops.project import Project

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
        ModelRecord("model", "LogisticRegression", blob="ab", size=1200),
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
            {
                "name": "model",
                "class_name": "LogisticRegression",
                "kept": True,
                "reason": None,
                "size": 1200,
                "flavor": "sklearn",
            },
            {
                "name": "big",
                "class_name": "RandomForestClassifier",
                "kept": False,
                "reason": "larger than the limit",
                "size": 0,
                "flavor": "sklearn",
            },
        ],
        "register": "taxi",
        "registered_model": "model",
        "notebook": "taxi.ipynb",
        "error": None,
        "warnings": ["%%track --x: unknown option"],
        "first": True,
        "dry_run": False,
        "baseline": None,
        "deltas": {},
        "hyperparameters": {},
        "changed": {},
        "inputs": [],
        "files": [],
        "bytes_kept": 1200,
        "data_added": 0,
        "environment": None,
        "git": None,
        "modules": 0,
        "seeds": {},
        "resources": {},
        "left_out": {},
        "series": {},
        "mlflow": None,
        "cut": {},
        "redacted": 0,
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
        assert tag in {
            "div", "span", "strong", "code", "details", "summary", "svg", "polyline", "a"
        }  # fmt: skip
        assert {name for name, _ in attrs} <= {
            "style", "aria-hidden", "aria-label", "role", "title", "width", "height", "viewbox",
            "points", "fill", "stroke", "stroke-width", "stroke-linejoin", "href", "target", "rel",
        }  # fmt: skip
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
        warnings=(evil,) * 5,
        hyperparameters={evil + name: evil},
        series={evil + value: [[0.0, 1.0, 0.0], [1.0, 2.0, 0.0]]},
        inputs=(InputRecord(evil, evil, source=value + evil, reason=evil),),
        files=(FileRecord(evil, kind=evil, text=value, reason=evil),),
        git_commit=evil,
        git_branch=evil,
        seeds={evil: evil},
        resources={evil: 1.0},
        left_out={evil: evil},
        adopted=evil,
    )
    environment = EnvironmentRecord("s", evil, evil, evil)
    baseline = {"label": evil, "metrics": {evil + value: 0.5}, "params": {name + evil: evil}}
    html = render_html(
        payload(
            run,
            experiment=evil,
            root=Path("/" + evil),
            environment=environment,
            baseline=baseline,
            mlflow={"uri": "http://" + evil + '"'},
        )
    )
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


FULL = replace(
    RUN,
    params={"depth": 8, "rate": 0.1},
    metrics={"rmse": 0.31, "auc": 0.91, "f1": 0.8, "new": 1.0},
    hyperparameters={"model__a": 1, "model__b": 2.5, "depth": 8},
    series={"rmse": [[i, 1 / (i + 1), 0.0] for i in range(500)], "auc": [[0, 0.91, 0.0]]},
    inputs=(
        InputRecord("df", "frame", "blake3:" + "ab" * 32, 1200, 14, 134400, source="data/t.csv"),
        InputRecord("raw", "file", None, size=12_000_000, reason="it changed while it was read"),
    ),
    files=(
        FileRecord("figure-1.png", "cd", 22_000, "figure"),
        FileRecord("figure-2.png", "ce", 11_000, "figure"),
        FileRecord("output.txt", None, 5000, "output", text="héllo", reason="the first 6 bytes"),
        FileRecord("left.bin", None, 9_000_000, reason="larger than the limit"),
    ),
    git_commit="0123456789abcdef",
    git_branch="main",
    git_dirty=True,
    modules={"lib.py": "aa"},
    seeds={"numpy": 7},
    resources={"wall_seconds": 12.5, "cpu_seconds": 40.0, "peak_memory_bytes": 2.5e8},
    left_out={"big": "larger than 1 MB"},
)
ENVIRONMENT = EnvironmentRecord("s", "blake3:" + "ef" * 32, "3.11.2", "Linux", {"numpy": "2"})
BASELINE = {
    "label": "champion taxi@3",
    "kind": "champion",
    "run_id": "01HA",
    "metrics": {"rmse": 0.35, "auc": 0.93, "f1": 0.8, "gone": 1.0},
    "params": {"depth": "4", "rate": "0.1", "model__b": "2.0", "model__a": "1"},
}


def full(**changes: Any) -> dict[str, Any]:
    return payload(FULL, environment=ENVIRONMENT, baseline=BASELINE, **changes)


def test_metrics_and_parameters_say_what_became_of_them() -> None:
    card = full()
    assert card["baseline"] == {"label": "champion taxi@3", "kind": "champion", "run_id": "01HA"}
    deltas = card["deltas"]
    assert {name: d["better"] for name, d in deltas.items()} == {
        "rmse": True, "auc": False, "f1": None,
    }  # fmt: skip
    assert deltas["rmse"]["before"] == 0.35
    assert deltas["rmse"]["change"] == pytest.approx(-0.04)
    assert card["changed"] == {"depth": "4", "model__b": "2.0"}
    # The person's own names are parameters; of the others what differs comes first.
    assert list(card["hyperparameters"]) == ["model__b", "model__a"]
    text = read_html(render_html(card))
    assert "▼\xa0−0.04" in text
    assert "▼\xa0−0.02" in text
    assert "against champion taxi@3" in text
    assert "depth 8 (was 4)" in text
    assert "model__b 2.5 (was 2.0)" in text
    line = render_text(card).splitlines()[0]
    assert "auc=0.91 (−0.02), rmse=0.31 (−0.04), f1=0.8 (±0) (+1)" in line
    assert "| against champion taxi@3 |" in line


@pytest.mark.parametrize("before", [None, "x", math.nan, math.inf])
def test_a_metric_without_a_number_before_has_no_change(before: Any) -> None:
    card = payload(baseline={"label": "b", "metrics": {"accuracy": before}, "params": {}})
    assert card["deltas"] == {}
    assert "against" not in render_text(card)


def test_what_a_run_holds_is_counted_in_one_line_and_listed_behind_it() -> None:
    card = full()
    assert card["bytes_kept"] == 1200 + 22_000 + 11_000 + len("héllo".encode())
    assert card["git"] == {"commit": "0123456789", "branch": "main", "dirty": True}
    assert card["environment"] == {
        "python": "3.11.2", "platform": "Linux", "packages": 1, "digest": "ef" * 6,
    }  # fmt: skip
    assert card["inputs"][0]["digest"] == "ab" * 6
    html = render_html(card)
    always, _, folded = html.partition("<details")
    head = folded.partition("</summary>")[0]
    for part in ("2 inputs", "2 hyperparameters", "2 figures", "output", "34 kB kept",
                 "0123456</code>*", "Python 3.11.2", "1 left out"):  # fmt: skip
        assert part in head
    text = read_html(html)
    for part in ("df frame 1,200 × 14 " + "ab" * 6, "from data/t.csv", "12 MB",
                 "no digest: it changed while it was read", "model__a 1", "figure-2.png 11 kB",
                 "larger than the limit", "numpy 7", "1 package, Linux, 1 module of the project",
                 "main 0123456789, with changes that are not committed", "wall 12.5 s",
                 "peak memory 250 MB", "big: larger than 1 MB"):  # fmt: skip
        assert part in text
    assert always.count("display:flex") <= 10


def test_a_metric_logged_by_steps_has_its_course() -> None:
    card = full()
    course = card["series"]["rmse"]
    assert course["count"] == 500
    assert len(course["points"]) <= 40
    assert course["points"][0] == [0.0, 1.0]
    assert course["points"][-1] == [499.0, 1 / 500]
    html = render_html(card)
    assert html.count("<svg") == 1  # One point is no course.
    assert 'aria-label="rmse over 500 steps"' in html


def test_a_run_without_extras_has_no_fold() -> None:
    assert "<details" not in render_html(payload(replace(RUN, models=())))


@pytest.mark.parametrize(
    "change",
    [
        {"params": {f"p{i}": "x" * 5000 for i in range(2000)}},
        {"metrics": {f"m{i}": 0.1 for i in range(5000)}},
        {"warnings": ("w" * 5000,) * 300},
        {"inputs": tuple(InputRecord("i" * 300, "frame", source="s" * 900) for _ in range(500))},
        {"series": {f"m{i}": [[s, s / 7, 0.0] for s in range(900)] for i in range(300)}},
        {"hyperparameters": {f"h{i}": list(range(1000)) for i in range(3000)}, "left_out": {
            "é" * 999: "ü" * 9999}},
        {"error": {"ename": "E", "evalue": "v" * 1_000_000}},
    ],
)  # fmt: skip
def test_the_payload_is_bounded_and_says_what_was_cut(change: dict[str, Any]) -> None:
    run = replace(FULL, **change)
    card = payload(run, environment=ENVIRONMENT, baseline=BASELINE)
    assert len(json.dumps(card, ensure_ascii=False).encode()) <= LIMIT
    for name, left in card["cut"].items():
        if name in ("params", "metrics", "inputs", "warnings"):
            assert left == len(getattr(run, name)) - len(card[name])
    read_html(render_html(card))
    assert len(render_html(card)) < 3 * LIMIT
    if "metrics" in change:
        assert "(+4997)" in render_text(card)
        assert "and 4988 more" in read_html(render_html(card))


def test_the_card_of_a_run_that_goes_on() -> None:
    started = RunStarted("01HZ", "s", 1.0, "taxi #1", notebook="t.ipynb")
    card = live_payload(
        started,
        experiment="pricing",
        root=Path("/w"),
        elapsed=12.34,
        series={"loss": [[0, 0.5, 1.0], [1, 0.25, 2.0]], "none": []},
        params={"lr": 0.1},
    )
    assert card["live"] is True
    assert card["metrics"] == {"loss": 0.25}
    assert card["series"]["loss"]["points"] == [[0.0, 0.5], [1.0, 0.25]]
    assert render_text(card) == "run taxi #1: running for 12.3 s | loss=0.25"
    text = read_html(render_html(card))
    assert "running for 12.3 s" in text
    assert "<svg" in render_html(card)


def test_where_mlflow_shows_the_runs(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(project.root.parent))
    assert mlflow_link(project, Config()) == {
        "command": "cd ~/proj && mlflow ui --backend-store-uri sqlite:///.mlops/mlflow.db"
    }
    spaced = Project(root=project.root.parent / "a b", state=Path("/elsewhere/.mlops"))
    assert mlflow_link(spaced, Config()) == {
        "command": "mlflow ui --backend-store-uri sqlite:////elsewhere/.mlops/mlflow.db"
    }
    beside = Project(root=project.root.parent / "a b", state=project.root.parent / "a b" / ".mlops")
    assert mlflow_link(beside, Config())["command"].startswith("cd ~/'a b' && ")
    other = mlflow_link(project, Config(tracking_uri="postgresql://u:secret@db/x"))
    assert other == {"command": "mlflow ui --backend-store-uri postgresql://db/x"}
    server = mlflow_link(project, Config(tracking_uri="https://u:secret@mlflow.example/"))
    assert server == {"uri": "https://mlflow.example/"}
    html = render_html(payload(replace(RUN, adopted="abc"), mlflow=server))
    assert 'href="https://mlflow.example/#/runs/abc"' in html
    assert 'href="https://mlflow.example/"' in render_html(payload(mlflow=server))
    # Nothing but an address of a server becomes a link.
    assert "href" not in render_html(payload(mlflow={"uri": "javascript:alert(1)"}))


def test_secrets_are_replaced_before_texts_are_shortened() -> None:
    token = "ghp_" + "aB3" * 12
    run = replace(
        FULL,
        params={"url": "x" * 385 + f" {token}", "password": "correct-horse"},
        hyperparameters={"callback": [token]},
        error={"ename": "HTTPError", "evalue": f"401 for {token}"},
        warnings=(f"https://u:{token}@host refused",),
        left_out={"a": token},
        inputs=(InputRecord("df", "frame", source=f"https://h/?token={token}", reason=token),),
    )
    baseline = {"label": "b", "metrics": {"auc": 1.0}, "params": {"password": "other-horse-x"}}
    card = payload(run, baseline=baseline)
    for text in (json.dumps(bundle(card)), render_html(card), render_text(card)):
        for secret in (token, token[:14], "correct-horse", "other-horse-x"):
            assert secret not in text
    assert card["redacted"] >= 6
    text = read_html(render_html(card))
    assert f"{card['redacted']} redacted" in text
    assert "password [password redacted]" in text
    started = RunStarted("01HZ", "s", 1.0, "taxi #1")
    live = live_payload(
        started, experiment="e", root=Path("/w"), elapsed=1.0, series={}, params={"key": token}
    )
    assert token not in json.dumps(live)
    assert token in json.dumps(payload(run, redact=False))
