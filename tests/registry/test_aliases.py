"""Aliases move through gates, one at a time, and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from jupyter_mlops.config import Config
from jupyter_mlops.errors import (
    ConflictError,
    GateRefusedError,
    NotFoundError,
    PipelineError,
    ServiceError,
    UsageError,
)
from jupyter_mlops.model.registry import ModelSpec
from jupyter_mlops.project import Project
from jupyter_mlops.registry import alias_moves, get_version, list_models, revert_alias, set_alias
from jupyter_mlops.registry import aliases as module
from jupyter_mlops.state import StateDB
from jupyter_mlops.state.held import hold

CONFIG = Config()

PIPELINE = """\
version: 1
name: {name}
steps:
  - name: train
    notebook: train.ipynb
    outputs: {{model_path: model.skops}}
model:
  name: {model}
  output: train.model_path
"""


def add_policy(project: Project, gates: str, name: str = "taxi", model: str = "taxi") -> None:
    import nbformat

    folder = project.pipelines / name
    folder.mkdir(parents=True)
    notebook = nbformat.v4.new_notebook()
    cell = nbformat.v4.new_code_cell('model_path = "model.skops"')
    cell.metadata["tags"] = ["parameters"]
    notebook.cells.append(cell)
    nbformat.write(notebook, folder / "train.ipynb")
    (folder / "pipeline.yaml").write_text(PIPELINE.format(name=name, model=model))
    (folder / "policy.yaml").write_text(f"version: 1\ngates:\n{gates}")


def holder(project: Project, alias: str = "champion") -> int | None:
    try:
        return get_version(project, ModelSpec("taxi", alias=alias)).version
    except NotFoundError:
        return None


def test_without_a_policy_an_alias_is_set_and_taken_back(
    registered: Project, client: Callable[..., Any]
) -> None:
    project = registered
    first = set_alias(project, CONFIG, "taxi", 1, "champion", by="me")
    assert (first.before, first.after, first.verdicts, first.gated) == (None, 1, (), False)
    assert first.undo == "jupyter mlops models revert taxi"
    second = set_alias(project, CONFIG, "taxi", 2, "champion", by="you")
    assert (second.before, second.after) == (1, 2)
    assert holder(project) == 2
    plain = client(project)
    assert plain.get_model_version_by_alias("taxi", "champion").version == 2

    back = revert_alias(project, CONFIG, "taxi")
    assert (back.before, back.after) == (2, 1)
    assert back.undo == "jupyter mlops models set taxi@2 champion"
    assert holder(project) == 1
    assert revert_alias(project, CONFIG, "taxi").after is None
    assert holder(project) is None
    assert plain.get_registered_model("taxi").aliases == {}
    with pytest.raises(ConflictError, match="no move of champion"):
        revert_alias(project, CONFIG, "taxi")
    moves = alias_moves(project, "taxi")
    assert [(m.before, m.after, m.by, m.undone) for m in reversed(moves)] == [
        (None, 1, "me", True),
        (1, 2, "you", True),
        (2, 1, "you", True),
        (1, None, "me", True),
    ]


def test_setting_what_is_set_is_no_move(registered: Project) -> None:
    set_alias(registered, CONFIG, "taxi", 1, "champion", by="me")
    again = set_alias(registered, CONFIG, "taxi", 1, "champion", by="me")
    assert (again.before, again.after, again.undo) == (1, 1, "")
    assert len(alias_moves(registered, "taxi")) == 1


def test_gates_decide(registered: Project) -> None:
    project = registered
    add_policy(
        project,
        "  - {name: floor, metric: auc, min: 0.5}\n"
        "  - {name: not worse, metric: auc, not_worse_than: champion}\n",
    )
    accepted = set_alias(project, CONFIG, "taxi", 1, "champion", by="me")
    assert accepted.gated
    assert [v.passed for v in accepted.verdicts] == [True, True]
    with pytest.raises(GateRefusedError) as caught:
        set_alias(project, CONFIG, "taxi", 2, "champion", by="me")
    error = caught.value
    assert error.exit_code == 3
    assert "taxi@2 does not become champion" in str(error)
    assert [(g["name"], g["passed"]) for g in error.fields["gates"]] == [
        ("floor", True),
        ("not worse", False),
    ]
    assert holder(project) == 1
    assert alias_moves(project, "taxi")[0].verdicts == accepted.verdicts
    # An alias that no gate guards is free, and the way back is never gated.
    assert not set_alias(project, CONFIG, "taxi", 2, "challenger", by="me").gated
    assert revert_alias(project, CONFIG, "taxi").after is None


def test_every_pipeline_that_registers_the_model_is_asked(registered: Project) -> None:
    add_policy(registered, "  - {name: strict, metric: auc, min: 0.99}\n", name="other")
    with pytest.raises(GateRefusedError, match="strict"):
        set_alias(registered, CONFIG, "taxi", 1, "champion", by="me")
    add_policy(registered, "  - {name: x, metric: auc, max: 0}\n", name="elsewhere", model="bus")
    with pytest.raises(GateRefusedError) as caught:
        set_alias(registered, CONFIG, "taxi", 1, "champion", by="me")
    assert [g["name"] for g in caught.value.fields["gates"]] == ["strict"]


def test_a_policy_that_cannot_be_read_refuses(registered: Project) -> None:
    add_policy(registered, "  - {name: floor, metric: auc, mim: 0.5}\n")
    with pytest.raises(PipelineError):
        set_alias(registered, CONFIG, "taxi", 1, "champion", by="me")
    (registered.pipelines / "taxi" / "pipeline.yaml").write_text("[")
    with pytest.raises(PipelineError):
        set_alias(registered, CONFIG, "taxi", 1, "champion", by="me")
    assert holder(registered) is None


def test_an_alias_that_was_moved_elsewhere_is_not_taken_back(
    registered: Project, client: Callable[..., Any]
) -> None:
    set_alias(registered, CONFIG, "taxi", 1, "champion", by="me")
    client(registered).set_registered_model_alias("taxi", "champion", "2")
    with pytest.raises(ConflictError, match="moved elsewhere since") as caught:
        revert_alias(registered, CONFIG, "taxi")
    assert caught.value.fields == {"current": 2, "expected": 1}
    # Setting it reads what it really was before.
    assert set_alias(registered, CONFIG, "taxi", 1, "champion", by="me").before == 2
    assert revert_alias(registered, CONFIG, "taxi").after == 2
    assert holder(registered) == 2


def test_one_process_moves_it_at_a_time(
    registered: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "hold", lambda db, name, **kw: hold(db, name, wait=0.1))
    with (
        hold(StateDB(registered), "alias:taxi"),
        pytest.raises(ServiceError, match="another process"),
    ):
        set_alias(registered, CONFIG, "taxi", 1, "champion", by="me")


@pytest.mark.parametrize(
    ("name", "version", "alias", "kind"),
    [
        ("taxi", 9, "champion", NotFoundError),
        ("bus", 1, "champion", NotFoundError),
        ("taxi", 1, "latest", UsageError),
        ("taxi", 1, "v3", UsageError),
        ("taxi", 1, "no good", UsageError),
        ("ta/xi", 1, "champion", UsageError),
    ],
)
def test_wrong_words(
    registered: Project, name: str, version: int, alias: str, kind: type[Exception]
) -> None:
    with pytest.raises(kind):
        set_alias(registered, CONFIG, name, version, alias, by="me")
    assert [m.versions[0].aliases for m in list_models(registered)] == [()]
