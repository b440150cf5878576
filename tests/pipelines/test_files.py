"""pipeline.yaml: what it may say, what is said about it when it does not, and how it is written."""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jupyter_mlops.errors import PipelineError, ProjectError
from jupyter_mlops.model.pipeline import Parameter, Pipeline, PipelineModel, Step
from jupyter_mlops.pipelines import load_pipeline, save_pipeline
from jupyter_mlops.pipelines.files import pipeline_text

from .test_yaml_text import DATA, TEXT

FULL = """\
version: 1
name: churn
description: |-
  Who leaves.
  And when.
kernelspec: python3
experiment: customers
parameters:
  C:
    type: number
    exclusiveMinimum: 0
    default: 0.5
    description: inverse strength
  columns:
    type: array
    items:
      type: string
    default:
      - age
steps:
  - name: load
    notebook: load.ipynb
    outputs:
      data_path: data.parquet
  - name: train
    notebook: train.ipynb
    needs:
      - load
    inputs:
      data_path: load.data_path
    outputs:
      model_path: model.skops
      metrics_path: metrics.json
      example_path: example.parquet
    resources:
      cpus: 2
      memory: 4Gi
    retries: 1
    timeout: 600.0
model:
  name: churn
  output: train.model_path
  example: train.example_path
metrics: train.metrics_path
"""
SMALL = "version: 1\nname: small\nsteps:\n  - {name: a, notebook: a.ipynb, outputs: {m: m.json}}\n"


def load_text(folder: Path, text: str | bytes) -> Pipeline:
    data = text.encode() if isinstance(text, str) else text
    (folder / "pipeline.yaml").write_bytes(data)
    return load_pipeline(folder)


def test_every_key_is_read(tmp_path: Path) -> None:
    pipeline = load_text(tmp_path, FULL)
    assert pipeline == Pipeline(
        name="churn",
        description="Who leaves.\nAnd when.",
        experiment="customers",
        parameters=(
            Parameter("C", 0.5, {"type": "number", "exclusiveMinimum": 0}, "inverse strength"),
            Parameter("columns", ["age"], {"type": "array", "items": {"type": "string"}}),
        ),
        steps=(
            Step("load", "load.ipynb", outputs={"data_path": "data.parquet"}),
            Step(
                "train",
                "train.ipynb",
                needs=("load",),
                inputs={"data_path": "load.data_path"},
                outputs={
                    "model_path": "model.skops",
                    "metrics_path": "metrics.json",
                    "example_path": "example.parquet",
                },
                retries=1,
                timeout=600.0,
                resources={"cpus": 2, "memory": "4Gi"},
            ),
        ),
        model=PipelineModel("churn", "train.model_path", "train.example_path"),
        metrics="train.metrics_path",
        folder=str(tmp_path.resolve()),
    )


def test_writing_what_was_read_changes_nothing(tmp_path: Path) -> None:
    path = save_pipeline(load_text(tmp_path, FULL), tmp_path)
    assert path.read_text() == FULL


def test_what_has_its_default_is_left_out(tmp_path: Path) -> None:
    text = pipeline_text(load_text(tmp_path, SMALL))
    assert text == (
        "version: 1\nname: small\nkernelspec: python3\nsteps:\n"
        "  - name: a\n    notebook: a.ipynb\n    outputs:\n      m: m.json\n"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must be a mapping with the keys version, name and steps, not null"),
        ("[]", "must be a mapping"),
        ("name: x", "the key 'version' is missing"),
        ("version: 1\nname: x", "the key 'steps' is missing"),
        ("version: one\nname: x\nsteps: []", "version: must be the version of this format, 1"),
        ("version: true\nname: x\nsteps: []", "version"),
        ("version: 0\nname: x\nsteps: []", "version: must be"),
        (SMALL + "step: []", r"unknown key 'step' \(did you mean 'steps'\?\); the keys are"),
        (SMALL.replace("small", "a/b"), 'name: must be a name of letters.*not "a/b"'),
        (SMALL.replace("small", "5"), "name: must be"),
        (SMALL + "kernelspec: [a]", "kernelspec: must be the name of an installed"),
        (SMALL.replace("m: m.json", "m: ../m.json"), r"steps\[0\].outputs.m: must be a file name"),
        (SMALL.replace("m: m.json", "m: .m"), r"steps\[0\].outputs.m: must be a file name"),
        (SMALL.replace("m: m.json", "m: a, n: a"), "two outputs have the same file name"),
        (SMALL.replace("m: m.json", "'m m': a"), 'outputs: "m m" must be a name of ASCII letters'),
        (SMALL.replace("m: m.json", "class: a"), 'outputs: "class" cannot name a parameter'),
        (SMALL.replace("a.ipynb", "a.py"), "notebook: must be a relative path to an .ipynb"),
        (SMALL.replace("a.ipynb", "../a.ipynb"), "must lie inside the pipeline's folder"),
        (SMALL.replace("a.ipynb", "b/../../a.ipynb"), "must lie inside"),
        (SMALL.replace("a.ipynb", "/a.ipynb"), "must lie inside"),
        (SMALL.replace("a.ipynb", "C:/a.ipynb"), "must lie inside"),
        (SMALL.replace("a.ipynb", "..\\a.ipynb"), "must lie inside"),
        (SMALL.replace("a.ipynb", '"a\\u0000.ipynb"'), "notebook: must be"),
        (SMALL.replace("name: a,", "name: a.b,"), r"steps\[0\].name: must be a step's name"),
        (SMALL + "  - {name: a, notebook: b.ipynb}", r"steps\[1\].name: two steps are called 'a'"),
        (SMALL + "  - {name: b, notebook: b.ipynb, needs: [c]}", "there is no step 'c'"),
        (SMALL + "  - {name: b, notebook: b.ipynb, needs: [a, a]}", "an entry is there twice"),
        (SMALL + "  - {name: b, notebook: b.ipynb, needs: [b]}", "b needs b"),
        (
            SMALL
            + "  - {name: b, notebook: b.ipynb, needs: [c]}\n"
            + "  - {name: c, notebook: c.ipynb, needs: [b]}",
            "b needs c needs b: steps cannot need each other",
        ),
        (
            SMALL + "  - {name: b, notebook: b.ipynb, inputs: {x: a.m}}",
            r"steps\[1\].inputs.x: 'b' must list 'a' in its needs",
        ),
        (
            SMALL + "  - {name: b, notebook: b.ipynb, needs: [a], inputs: {x: a.n}}",
            r"step 'a' has no output 'n' \(its outputs: m\)",
        ),
        (SMALL + "  - {name: b, notebook: b.ipynb, retries: -1}", "retries: must be a whole"),
        (SMALL + "  - {name: b, notebook: b.ipynb, retries: {most: 1}}", "'times' is missing"),
        (SMALL + "  - {name: b, notebook: b.ipynb, retries: {times: 11}}", "times: must be a"),
        (SMALL + "  - {name: b, notebook: b.ipynb, retries: 1.5}", "retries: must be a whole"),
        (SMALL + "  - {name: b, notebook: b.ipynb, timeout: 0}", "timeout: must be a number of"),
        (SMALL + "  - {name: b, notebook: b.ipynb, timeout: .inf}", "must be a finite number"),
        (SMALL + "  - {name: b, notebook: b.ipynb, resources: {memory: 4}}", "such as 512Mi"),
        (SMALL + "metrics: a", "metrics: must be STEP.PARAMETER"),
        (SMALL + "metrics: b.m", "metrics: there is no step 'b'"),
        (SMALL + "model: {name: x}", "model: the key 'output' is missing"),
        (SMALL + "model: {name: 'a/b', output: a.m}", "model.name: 'a/b' cannot name a model"),
        (
            SMALL + "model: {name: x, output: a.m, example: a.m}",
            "model.example: 'm.json' must be a .parquet or .npy file",
        ),
        (SMALL + "parameters: {C: 1}", "parameters.C: must be a parameter"),
        (SMALL + "parameters: {C: {type: number}}", "parameters.C: the key 'default' is missing"),
        (
            SMALL + "parameters: {C: {typ: number, default: 1}}",
            r"parameters.C: unknown key 'typ' \(did you mean 'type'\?\)",
        ),
        (
            SMALL + "parameters: {C: {type: float, default: 1}}",
            "parameters.C.type: must be a JSON type .string, number",
        ),
        (
            SMALL + "parameters: {C: {type: number, default: high}}",
            'parameters.C.default: expected a number, got "high"',
        ),
        (
            SMALL + "parameters: {C: {type: integer, minimum: 1, default: 0}}",
            r"parameters.C.default: expected a whole number \(at least 1\), got 0",
        ),
        (SMALL + "parameters: {C: {$ref: 'http://x/y', default: 1}}", "unknown key '\\$ref'"),
        (SMALL + "parameters: {C: {pattern: '(', default: x}}", "regular expression"),
        (SMALL + "parameters: {lambda: {default: 1}}", '"lambda" cannot name a parameter'),
        (SMALL + "parameters: {m: {default: 1}}", "'m' is the name of another parameter"),
        (SMALL + "parameters: {C: {default: .nan}}", "parameters.C.default: must be a finite"),
        (SMALL + "parameters: {1: {default: 1}}", "the key 1 must be text"),
        (SMALL + "parameters: {é: {default: 1}}", "must be a name of ASCII letters"),
        ("a: [", "is not valid YAML: line 1"),
        ("a: &x 1\nb: *x", "aliases"),
        (b"\xff\xfe", "is not UTF-8 text: byte 0"),
    ],
)
def test_what_is_wrong_is_named_with_file_and_key(
    tmp_path: Path, text: str | bytes, message: str
) -> None:
    with pytest.raises(PipelineError, match=message) as caught:
        load_text(tmp_path, text)
    assert caught.value.message.startswith(str(tmp_path / "pipeline.yaml"))
    assert caught.value.exit_code == 2


def test_a_later_version_says_upgrade(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"version 2 .* this one reads version 1") as caught:
        load_text(tmp_path, "version: 2\nnew: things")
    assert caught.value.hint is not None
    assert "pip install --upgrade jupyter-mlops" in caught.value.hint


def test_a_file_that_is_not_there_or_too_large(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="does not exist"):
        load_pipeline(tmp_path)
    with pytest.raises(PipelineError, match="larger than 1048576 bytes"):
        load_text(tmp_path, "#" * (1024 * 1024 + 1))


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda t: t.encode("utf-8", "ignore")))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_a_pipeline_or_a_pipeline_error(tmp_path: Path, data: bytes) -> None:
    with contextlib.suppress(PipelineError):
        load_text(tmp_path, data)


KEYS = ["version", "name", "parameters", "steps", "model", "metrics", "default", "type", "notebook"]


@given(
    st.recursive(
        DATA | st.sampled_from([1, "a", "a.ipynb", "a.m", "number"]),
        lambda inner: st.dictionaries(st.sampled_from(KEYS) | TEXT, inner, max_size=6),
        max_leaves=15,
    )
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_any_yaml_is_a_pipeline_or_a_pipeline_error(tmp_path: Path, data: Any) -> None:
    from jupyter_mlops.pipelines.yaml_text import dump_yaml

    if isinstance(data, dict):
        data = {"version": 1, "name": "x", "steps": [{"name": "a", "notebook": "a.ipynb"}]} | data
    with contextlib.suppress(PipelineError):
        load_text(tmp_path, dump_yaml(data))


NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True).map(lambda s: s + "_")
PARAMETERS = st.one_of(
    st.tuples(st.just({}), DATA),
    st.tuples(st.just({"type": "string"}), TEXT),
    st.tuples(st.just({"type": ["number", "null"], "minimum": 0}), st.none() | st.integers(0)),
    st.tuples(st.just({"enum": ["1e-3", 1, None]}), st.sampled_from(["1e-3", 1, None])),
)


@st.composite
def pipelines(draw: st.DrawFn) -> Pipeline:
    """Valid pipelines: a chain of steps with inputs from any earlier one."""
    names = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    steps: list[Step] = []
    for number, name in enumerate(names):
        needs = tuple(names[:number])
        sources = [f"{s.name}.{o}" for s in steps for o in s.outputs]
        inputs = (
            draw(st.dictionaries(NAMES.map("in_".__add__), st.sampled_from(sources)))
            if (sources)
            else {}
        )
        outputs = {f"out_{n}": f"{n}.json" for n in draw(st.sets(NAMES, max_size=3))}
        retries = draw(st.integers(0, 10))
        pauses = {}  # which say something only where there are retries
        if retries and draw(st.booleans()):
            pauses = {"backoff": draw(st.floats(0, 100)), "longest_pause": draw(st.floats(0, 1e4))}
        steps.append(
            Step(
                name,
                draw(st.sampled_from(["a.ipynb", "sub/ü ber.ipynb", "1.ipynb"])),
                needs,
                inputs,
                outputs,
                retries,
                draw(st.none() | st.floats(0.001, 1e6)),
                draw(st.sampled_from([{}, {"cpus": 0.5}, {"gpus": 1, "memory": "1Gi"}])),
                cell_timeout=draw(st.none() | st.floats(0.001, 1e6)),
                **pauses,
            )
        )
    results = [f"{s.name}.{o}" for s in steps for o in s.outputs]
    chosen = draw(st.dictionaries(NAMES.map("p_".__add__), PARAMETERS, max_size=4))
    return Pipeline(
        name=draw(st.sampled_from(["churn", "1.0", "1e-3", "on", "null", "no"])),
        steps=tuple(steps),
        parameters=tuple(
            Parameter(name, default, schema, draw(TEXT))
            for name, (schema, default) in chosen.items()
        ),
        kernelspec=draw(st.sampled_from(["python3", "ir", "3.11"])),
        model=PipelineModel(
            draw(st.sampled_from(["m", "a b", "~"])), draw(st.sampled_from(results))
        )
        if results and draw(st.booleans())
        else None,
        metrics=draw(st.sampled_from(results)) if results and draw(st.booleans()) else None,
        experiment=draw(st.none() | st.sampled_from(["e", "2024-01-01", "yes"])),
        description=draw(TEXT),
    )


@given(pipelines())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_saving_and_loading_gives_the_same_pipeline(tmp_path: Path, pipeline: Pipeline) -> None:
    save_pipeline(pipeline, tmp_path)
    assert load_pipeline(tmp_path) == replace(pipeline, folder=str(tmp_path.resolve()))


def test_an_invalid_pipeline_is_not_written(tmp_path: Path) -> None:
    good = load_text(tmp_path, SMALL)
    with pytest.raises(PipelineError, match="must lie inside"):
        save_pipeline(replace(good, steps=(Step("a", "../a.ipynb"),)), tmp_path)
    assert (tmp_path / "pipeline.yaml").read_text() == SMALL
    assert os.listdir(tmp_path) == ["pipeline.yaml"]


def test_a_save_that_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = load_text(tmp_path, SMALL)

    def no_space(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(ProjectError, match=re.escape("cannot be written: No space left")):
        save_pipeline(replace(good, description="new"), tmp_path)
    assert (tmp_path / "pipeline.yaml").read_text() == SMALL
    assert os.listdir(tmp_path) == ["pipeline.yaml"]


def test_the_file_follows_the_umask_and_the_folder_is_made(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        path = save_pipeline(load_text(tmp_path, SMALL), tmp_path / "pipelines" / "small")
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o644
