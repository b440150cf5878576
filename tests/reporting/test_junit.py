"""JUnit XML: what the common schema says, and what the run said."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from jupyter_mlops.reporting import RunReport, StepReport, junit_xml

from .conftest import cell, failed, run

# The elements and attributes of the schema that Jenkins publishes for JUnit's format (junit-10).
ATTRIBUTES = {
    "testsuites": {"name", "time", "tests", "failures", "errors"},
    "testsuite": {
        "name", "tests", "failures", "errors", "time", "skipped", "timestamp",
        "hostname", "id", "package", "file", "log", "url", "version", "group",
    },
    "testcase": {"name", "time", "classname", "group"},
    "failure": {"type", "message"},
    "skipped": {"type", "message"},
}  # fmt: skip
CHILDREN = {
    "testsuites": {"testsuite"},
    "testsuite": {"testcase"},
    "testcase": {"failure", "skipped"},
    "failure": set(),
    "skipped": set(),
}


def check(text: str) -> ElementTree.Element:
    """Parse it, and hold it against the schema and its own counts."""
    root = ElementTree.fromstring(text)
    assert root.tag == "testsuites"
    for element in root.iter():
        assert set(element.attrib) <= ATTRIBUTES[element.tag]
        assert {child.tag for child in element} <= CHILDREN[element.tag]
    for suite in [root, *root]:
        assert int(suite.attrib["tests"]) == len(list(suite.iter("testcase")))
        assert int(suite.attrib["failures"]) == len(list(suite.iter("failure")))
    for suite in root:
        assert int(suite.attrib["skipped"]) == len(list(suite.iter("skipped")))
    for case in root.iter("testcase"):
        assert case.attrib["name"]
        assert case.attrib["classname"]
        assert float(case.attrib["time"]) >= 0
        assert len(case) <= 1
    return root


def test_a_suite_is_a_step_and_a_case_a_cell() -> None:
    root = check(junit_xml([run()]))
    assert [suite.attrib["name"] for suite in root] == ["wine.load", "wine.train"]
    case = root[1][0]
    assert case.attrib["name"] == "In [1] fit()"
    assert case.attrib["time"] == "0.500"
    assert root[1].attrib["file"] == "pipelines/wine/train.ipynb"
    assert root[0].attrib["timestamp"] == "2026-11-21T10:00:00"


def test_a_failure_has_the_traceback_and_what_did_not_run_is_skipped() -> None:
    root = check(junit_xml([failed()]))
    failure = root.find(".//failure")
    assert failure is not None
    assert failure.attrib == {"type": "ValueError", "message": "ValueError: bad | <b>value</b>"}
    assert "Cell In[2], line 2" in str(failure.text)
    assert "before it failed" in str(failure.text)
    assert root.attrib["failures"] == "1"
    assert [suite.attrib["skipped"] for suite in root] == ["1", "1"]  # a cell, and the other step


def test_a_step_that_failed_without_a_cell_is_a_failure() -> None:
    error = {"ename": "DeadKernelError", "evalue": "it did not start", "traceback": ""}
    step = StepReport("load", "load.ipynb", "failed", 1.0, 1, error, (cell(1, state="not run"),))
    root = check(junit_xml([run(steps=(step,), exit_code=1)]))
    failure = root.find(".//failure")
    assert failure is not None
    assert failure.attrib["message"] == "DeadKernelError: it did not start"


def test_gates_and_proof_are_tests() -> None:
    gates = ({"name": "good", "passed": False, "message": "too low"},)
    proof = {"verdict": "differs", "reasons": ["accuracy: tracked 0.9, now 0.8"]}
    root = check(junit_xml([run(gates=gates, proof=proof)]))
    messages = [failure.attrib["message"] for failure in root.iter("failure")]
    assert messages == ["ReplayDiffers: accuracy: tracked 0.9, now 0.8", "GateRefused: too low"]


def test_a_notebooks_suite_has_its_name() -> None:
    made = run(kind="notebook", name="a", steps=(replace(run().steps[0], name="a"),))
    assert check(junit_xml([made]))[0].attrib["name"] == "a"


@given(
    text=st.text(max_size=60),
    trace=st.text(max_size=200),
    states=st.lists(
        st.sampled_from(
            ["completed", "failed", "died", "timed out", "cancelled", "skipped", "not run"]
        ),
        max_size=6,
    ),
    status=st.sampled_from(["finished", "failed", "skipped", "cancelled", "cached"]),
)
def test_any_text_gives_valid_xml(text: str, trace: str, states: list[str], status: str) -> None:
    error = {"ename": text, "evalue": text, "traceback": trace}
    cells = tuple(cell(i, text, state, error=error, output=trace) for i, state in enumerate(states))
    step = StepReport(text or "s", text, status, 1.0, 1, error, cells)
    check(junit_xml([RunReport(text or "r", "pipeline", "1", "FAILED", 1, 1.0, steps=(step,))]))


def test_no_runs_are_no_suites() -> None:
    assert check(junit_xml([])).attrib["tests"] == "0"
