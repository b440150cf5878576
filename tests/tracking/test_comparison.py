"""Comparing two runs: only what differs, and what changed since a run was best."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mlops.config import Config
from jupyter_mlops.errors import UsageError
from jupyter_mlops.model.events import EnvironmentRecord, InputRecord, RunRecord
from jupyter_mlops.model.registry import RunSummary
from jupyter_mlops.project import Project
from jupyter_mlops.state import StateDB
from jupyter_mlops.state.readmodel import put_run
from jupyter_mlops.tracking.comparison import compare, thinned
from jupyter_mlops.tracking.curves import curve_svg
from jupyter_mlops.tracking.details import RunDetails, run_details
from jupyter_mlops.tracking.notebook import compare_display, compare_runs, display, why_display
from jupyter_mlops.tracking.patches import reversed_patch, split_patch, unified
from jupyter_mlops.tracking.why import explain

from .rich import HOSTILE, digest, pair
from .sessions import Session

CONFIG = Config()


def test_only_differences_are_there(project: Project) -> None:
    runs = pair(project)
    found = compare_runs(project, CONFIG, runs.a.run_id, "last")
    metrics = {item.name: item for item in found.metrics}
    assert set(metrics) == {"accuracy", "loss", "new"}  # NaN is NaN, and 1.0 is 1.0
    assert metrics["accuracy"].better == "a"
    assert metrics["accuracy"].delta == pytest.approx(-0.1)
    assert metrics["accuracy"].relative == pytest.approx(-1 / 9)
    assert (metrics["loss"].lower_is_better, metrics["loss"].better) == (True, "a")
    assert (metrics["new"].a, metrics["new"].delta, metrics["new"].better) == (None, None, None)
    assert [(p.name, p.a, p.b, p.only) for p in found.params] == [
        ("rate", 0.1, 0.2, None),
        ("extra", None, None, "b"),
    ]
    # What the person set is told once.
    assert [(p.name, p.a, p.b) for p in found.hyperparameters] == [("model.C", 1.0, 2.0)]
    assert "-model = fit(rate=0.1)\n+model = fit(rate=0.2)" in found.code.source
    assert [(g.name, g.a, g.b) for g in found.code.git] == [("uncommitted changes", False, True)]
    gone, lib = found.code.modules
    assert (gone.name, gone.only) == ("gone.py", "a")
    assert "-    return 1\n+    return 2" in str(lib.diff)
    assert [(p.name, p.a, p.b) for p in found.packages] == [("scikit-learn", "1.5.0", "1.6.1")]
    assert found.environment == ()
    assert [(s.name, s.a, s.b) for s in found.seeds] == [("random_state", 0, 1)]
    assert [(m.name, m.a, m.b) for m in found.models] == [("model", "Ridge", "Lasso")]
    assert [r.name for r in found.resources] == ["wall_seconds", "peak_memory_bytes"]
    (curve,) = found.curves
    assert (curve.name, curve.a[-1], curve.b[-1]) == ("loss", (2.0, 0.3), (2.0, 0.4))
    assert found.unknown == ()
    assert not found.same
    json.dumps(found.to_dict())


def test_data_is_compared_by_digest_schema_and_rows(project: Project) -> None:
    runs = pair(project)
    found = compare_runs(project, CONFIG, "-2", "-1")
    trips, old, new = found.inputs
    assert found.same_inputs == ("zones",)
    assert (trips.status, trips.rows_a, trips.rows_b) == ("changed", 100, 90)
    assert (trips.added, trips.removed) == (("fare",), ("km",))
    assert trips.retyped == {"tip": ("f8", "i8")}
    assert (old.name, old.status) == ("old", "a")
    assert (new.name, new.status) == ("new", "b")
    assert found.a.run_id == runs.a.run_id


def test_an_input_without_a_digest_is_not_called_equal(project: Project) -> None:
    session = Session(project)
    opaque = InputRecord("x", "object", reason="not a frame")
    session.run("a", inputs=(opaque, InputRecord("y", "file", digest("1"))), started=1.0)
    session.run("b", inputs=(opaque, InputRecord("z", "file", digest("1"))), started=2.0)
    found = compare_runs(project, CONFIG, "-2", "last")
    assert found.same_inputs == ()
    assert any("input x" in text and "not a frame" in text for text in found.unknown)
    (renamed,) = found.inputs
    assert (renamed.name, renamed.status, renamed.other) == ("y", "renamed", "z")


def test_a_run_compared_with_itself_shows_nothing(project: Project) -> None:
    pair(project)
    found = compare_runs(project, CONFIG, "last", "last")
    assert found.same
    assert (found.metrics, found.curves, found.resources) == ((), (), ())
    assert "Nothing that was recorded" in compare_display(["last", "-1"], project)["text/plain"]


def test_values_that_mlflow_keeps_as_text_are_compared_as_text(project: Project) -> None:
    runs = pair(project)
    ours = run_details(project, CONFIG, runs.a.run_id)
    summary = RunSummary("f" * 32, "foreign", "FINISHED", 1.0, mlflow_run_id="f" * 32,
                         kind="mlflow", params={"rate": "0.1", "depth": "4"})  # fmt: skip
    with StateDB(project).write() as connection:
        put_run(connection, summary)
    foreign = run_details(project, CONFIG, "f" * 32, ask=False)
    found = compare(ours, foreign)
    changed = {item.name for item in found.params if item.only is None}
    assert changed == {"depth"}
    assert any("foreign" in text for text in found.unknown)
    assert found.code.modules == ()


def test_hostile_names_are_text_in_html(project: Project) -> None:
    runs = pair(project)
    runs.session.run(
        HOSTILE,
        source=f"x = '{HOSTILE}'",
        params={HOSTILE: HOSTILE},
        metrics={HOSTILE: 1.0},
        series={HOSTILE: [[0.0, 1.0, 1.0], [1.0, 2.0, 2.0]]},
        inputs=(InputRecord(HOSTILE, "file", digest("1"), source=HOSTILE),),
        seeds={HOSTILE: HOSTILE},
        modules={HOSTILE: "1"},
    )
    for shown in (
        compare_display([runs.a.run_id, "last"], project),
        compare_display(["last", runs.a.run_id], project),
        why_display(["last", "--metric", HOSTILE], project),
        why_display(["--metric=accuracy"], project),
    ):
        assert "<img" not in shown["text/html"]
        ElementTree.fromstring(shown["text/html"])  # well-formed: nothing broke out of its place
        assert "onerror" in shown["text/plain"]


def test_words_that_are_no_two_runs_are_refused(project: Project) -> None:
    for words in ([], ["last"], ["a", "b", "c"], ["last", "--html"]):
        with pytest.raises(UsageError, match="two runs"):
            compare_display(words, project)
    with pytest.raises(UsageError, match="one run"):
        why_display(["a", "b"], project)


def test_a_notebook_draws_what_the_magic_was_given(project: Project) -> None:
    pair(project)
    assert display(project, ["compare", "-2", "last"]) == compare_display(["-2", "last"], project)
    assert display(project, ["why"]) == why_display([], project)
    for words in ([], ["runs"], ["compare"]):
        with pytest.raises(UsageError):
            display(project, words)


def test_why_names_what_changed_the_likeliest_first(project: Project) -> None:
    runs = pair(project)
    found = explain(project, CONFIG)
    assert (found.metric, found.value, found.best_value) == ("accuracy", 0.8, 0.9)
    assert (found.group, found.peers) == ("cell", 1)
    assert found.best is not None
    assert found.best.run_id == runs.a.run_id
    assert "is worse than the only earlier run" in found.verdict
    kinds = [reason.kind for reason in found.reasons]
    ranked = ["data", "code", "parameter", "package", "seed"]
    assert sorted(kinds, key=ranked.index) == kinds
    text = " ".join(reason.sentence for reason in found.reasons)
    for part in (
        "from 100 to 90 rows", "1 column more (fare)", "tip is i8 instead of f8",
        "The input old is no longer used.", "1 line added, 1 line removed",
        "The imported module lib.py changed: 1 line added", "from Ridge to Lasso",
        "The parameter rate went from 0.1 to 0.2.", "scikit-learn went from 1.5.0 to 1.6.1",
        "The seed of random_state went from 0 to 1",
    ):  # fmt: skip
        assert part in text, part
    assert json.dumps(found.to_dict())


def test_why_follows_the_direction_of_the_metric(project: Project) -> None:
    session = Session(project)
    for number, loss in enumerate((0.5, 0.2, 0.2, 0.9)):
        session.run(f"m #{number}", metrics={"loss": loss}, started=1000.0 + number)
    found = explain(project, CONFIG)
    assert found.best is not None
    assert (found.best.name, found.best_value) == ("m #2", 0.2)  # of equals the newest
    assert (found.group, found.peers) == ("name", 3)
    best = explain(project, CONFIG, "-3")
    assert "better than all before it" in best.verdict
    assert "has the same loss" in explain(project, CONFIG, "-2").verdict


def test_blocks_of_one_cell_are_told_apart_by_their_names(project: Project) -> None:
    session = Session(project)
    for number, name in enumerate(("ridge", "lasso", "ridge", "lasso")):
        session.run(
            name, kind="block", cell_id="one", metrics={"auc": number / 10}, started=1.0 + number
        )
    found = explain(project, CONFIG)
    assert (found.group, found.peers) == ("cell", 1)
    assert found.best is not None
    assert found.best.name == "lasso"


def test_a_value_that_changed_is_told_once_and_close_ones_apart(project: Project) -> None:
    session = Session(project)
    for number, (rate, more) in enumerate([(0.1, ""), (0.2, ""), (0.3, "\ny = rate")]):
        session.run(
            f"m #{number}",
            source=f"%%track\nrate = {rate}\nfit(rate){more}",
            params={"rate": rate},
            metrics={"auc": 0.9 - number * 1e-9},
            started=1000.0 + number,
        )
    found = explain(project, CONFIG, "-2")
    assert [reason.kind for reason in found.reasons] == ["parameter"]
    assert "0.899999999 instead of 0.9" in found.verdict
    assert [reason.kind for reason in explain(project, CONFIG).reasons] == ["code", "parameter"]


def test_why_is_honest_when_nothing_differs(project: Project) -> None:
    session = Session(project)
    same = {"inputs": (InputRecord("x", "file", digest("1")),), "environment": digest("2")}
    env = EnvironmentRecord(session.id, digest("2"), "3.11", "Linux", {"numpy": "2"})
    session.journal.append(env.to_dict())
    session.run("m #1", metrics={"auc": 0.9}, started=1.0, **same)
    session.run("m #2", metrics={"auc": 0.8}, started=2.0, **same)
    found = explain(project, CONFIG)
    assert found.reasons == ()
    assert "the difference is randomness, and no seed was found" in found.verdict
    session.run("m #3", metrics={"auc": 0.7}, started=3.0, **same, seeds={"numpy": 0})
    session.run("m #4", metrics={"auc": 0.6}, started=4.0, **same, seeds={"numpy": 0})
    assert [r.sentence for r in explain(project, CONFIG).reasons] == [
        "The seed of numpy is new: 0."
    ]
    # Without inputs or an environment it is not claimed that they are the same.
    bare = Session(project)
    bare.run("n #1", metrics={"auc": 0.9}, started=10.0)
    bare.run("n #2", metrics={"auc": 0.8}, started=11.0)
    found = explain(project, CONFIG)
    assert "not all is known" in found.verdict
    assert any("no inputs were recorded" in text for text in found.unknown)
    assert any("packages" in text for text in found.unknown)


def test_why_of_a_run_that_failed_or_stands_alone(project: Project) -> None:
    session = Session(project)
    session.run("m #1", started=1.0)
    assert "no earlier finished run" in explain(project, CONFIG).verdict
    error = {"ename": "ValueError", "evalue": "C must be positive"}
    session.run("m #2", status="FAILED", metrics={}, error=error, params={"C": -1}, started=2.0)
    found = explain(project, CONFIG)
    assert "has no accuracy: it ended as FAILED (ValueError: C must be positive)" in found.verdict
    assert "The parameter C went from 0.5 to -1." in [r.sentence for r in found.reasons]
    with pytest.raises(UsageError, match="has the metric 'f1'") as refused:
        explain(project, CONFIG, metric="f1")
    assert "accuracy" in str(refused.value.hint)


def test_a_diff_is_split_and_reversed() -> None:
    text = (
        "diff --git a/one.py b/one.py\nindex 1..2 100644\n--- a/one.py\n+++ b/one.py\n"
        "@@ -1 +1,2 @@\n-a\n+--- a/fake.py\n++++ b/fake.py\n"
        "diff --git a/two.py b/two.py\nnew file mode 100644\n--- /dev/null\n+++ b/two.py\n"
        "@@ -0,0 +1 @@\n+x\n\\ No newline at end of file\n"
    )
    parts = split_patch(text)
    assert set(parts) == {"one.py", "two.py"}
    assert parts["two.py"].startswith("@@ -0,0 +1 @@\n+x")
    assert reversed_patch(parts["one.py"]).splitlines()[:3] == [
        "@@ -1,2 +1 @@", "+a", "---- a/fake.py"
    ]  # fmt: skip


lines = st.lists(st.sampled_from(["a", "b", "--- x", "+++ y", "@@ -1 +1 @@", "", " c"]), max_size=8)


@given(lines, lines)
def test_a_patch_reversed_twice_is_itself(old: list[str], new: list[str]) -> None:
    diff = unified("\n".join(old), "\n".join(new), "a/f.py", "b/f.py")
    parts = split_patch(diff)
    assert ("f.py" in parts) == bool(diff)
    for hunks in parts.values():
        assert "\n".join(diff.splitlines()[2:]) == hunks
        assert reversed_patch(reversed_patch(hunks)) == hunks


finite = st.floats(allow_nan=True, allow_infinity=True)


@given(st.lists(st.tuples(st.integers(0, 2000).map(float), finite), max_size=1500))
def test_a_curve_is_thinned_to_its_peaks_and_drawn_well_formed(
    points: list[tuple[float, float]],
) -> None:
    kept = thinned(points)
    assert len(kept) <= 420
    known = [value for _, value in points if not math.isnan(value)]
    if len(known) == len(points) and points:
        assert max(value for _, value in kept) == max(known)
        assert min(value for _, value in kept) == min(known)
    drawn = curve_svg(HOSTILE, [(HOSTILE, kept), ("b", kept)])
    if drawn:
        svg = ElementTree.fromstring(drawn)
        for path in svg.iter("{http://www.w3.org/2000/svg}path"):
            assert re.fullmatch(r"[MLHVh0-9.\s-]*", path.get("d", "?")), path.get("d")


def test_modules_are_not_compared_across_commits(project: Project) -> None:
    runs = pair(project, git_commit="d" * 40)
    found = compare_runs(project, CONFIG, runs.a.run_id, "last")
    assert [m.diff for m in found.code.modules] == [None, None]
    assert found.code.git[0].name == "commit"


def test_both_changed_a_module(project: Project) -> None:
    runs = pair(project)
    a, b = (run_details(project, CONFIG, run.run_id) for run in (runs.a, runs.b))
    text = str(b.files("code")[0].text)

    def with_diff(details: RunDetails, diff: str) -> RunDetails:
        item = replace(b.files("code")[0], text=diff)
        record: RunRecord = replace(details.record, files=(item,))
        return replace(details, record=record)

    module = compare(with_diff(a, text.replace("return 2", "return 3")), b).code.modules[1]
    assert "-+    return 3\n++    return 2" in str(module.diff)
    back = compare(b, a).code.modules[1]
    assert "+    return 1\n-    return 2" in str(back.diff)
