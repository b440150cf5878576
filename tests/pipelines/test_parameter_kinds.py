"""Annotations of a ``parameters`` cell: what they accept, and what a notebook then gets."""

from __future__ import annotations

import ast
import datetime
import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from nbformat.v4 import new_code_cell, new_notebook

from jupyter_mlops.errors import ParameterError
from jupyter_mlops.integrations.engine_parameters import inject
from jupyter_mlops.model.secret import Secret
from jupyter_mlops.pipelines import check_parameters, declared_parameters
from jupyter_mlops.pipelines.declared import DeclaredParameters
from jupyter_mlops.pipelines.parameter_injection import injected_values
from jupyter_mlops.project import Project

HEAD = (
    "import datetime\nimport datetime as dt\nfrom datetime import date, timedelta\n"
    "from pathlib import Path\nfrom typing import *\n"
)
DATE = {"type": "string", "format": "date"}
PATH = {"type": "string", "format": "path"}


def declared(source: str) -> DeclaredParameters:
    cell = new_code_cell(HEAD + source)
    cell.metadata["tags"] = ["parameters"]
    return declared_parameters(new_notebook(cells=[cell]), "a.ipynb")


def executed(source: str, project: Project, **given: Any) -> dict[str, Any]:
    """The variables after the cell and the injected one, as papermill would run them."""
    known = declared(source)
    values = check_parameters(known.parameters, given)
    json.dumps(values, allow_nan=False)
    assert check_parameters(known.parameters, values) == values  # a schedule checks twice
    notebook: dict[str, Any] = {"cells": [], "metadata": {"papermill": {}}}
    inject(notebook, injected_values(project, known, values, "a.ipynb"), "python3", "python")
    space: dict[str, Any] = {}
    exec(HEAD + source, space)
    exec(notebook["cells"][0]["source"], space)
    noted = json.loads(json.dumps(notebook["metadata"]["papermill"]["parameters"]))
    assert noted == values or "file:" in str(values)
    return space


@pytest.mark.parametrize(
    ("source", "default", "schema"),
    [
        ("x: None | str = None", None, {"type": ["null", "string"]}),
        ("x: Literal['a', 'b'] = 'a'", "a", {"enum": ["a", "b"]}),
        ("x: Literal['a'] | None = None", None, {"enum": ["a", None]}),
        ("x: Optional[Literal[1, 2]] = 1", 1, {"enum": [1, 2, None]}),
        ("x: datetime.date = date(2026, 3, 1)", "2026-03-01", DATE),
        ("x = datetime.date(2026, 3, 1)", "2026-03-01", DATE),
        ("x = date.fromisoformat('2026-03-01')", "2026-03-01", DATE),
        ("x: dt.date = date.today()", None, DATE),
        ("x: date | None = None", None, {"anyOf": [DATE, {"type": "null"}]}),
        ("x: list[date] = [date(2026, 3, 1)]", ["2026-03-01"], {"type": "array", "items": DATE}),
        ("x = [date(2026, 3, 1)]", ["2026-03-01"], {"type": "array", "items": DATE}),
        (
            "x: datetime.datetime = datetime.datetime(2026, 3, 1, tzinfo=datetime.timezone.utc)",
            "2026-03-01T00:00:00+00:00",
            {"type": "string", "format": "date-time"},
        ),
        ("x = timedelta(hours=-1)", "-PT1H", {"type": "string", "format": "duration"}),
        ("x: Path = Path('a') ", "a", PATH),
        ("x: 'os.PathLike[str]' = 'a'", "a", PATH),
        (
            "x: dict[str, int] = {}", {},
            {"type": "object", "additionalProperties": {"type": "integer"}},
        ),
        ("x: Dict[str, Any] = {}", {}, {"type": "object"}),
        (
            "x: set[int] = {2, 1}", [1, 2],
            {"type": "array", "items": {"type": "integer"}, "uniqueItems": True},
        ),
        ("x = {2, 1}", [1, 2], {"type": "array", "uniqueItems": True}),
        (
            "x: tuple[int, str] = (1, 'a')",
            [1, "a"],
            {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}],
             "minItems": 2, "maxItems": 2},
        ),
        ("x: tuple[float, ...] = ()", [], {"type": "array", "items": {"type": "number"}}),
        ("x: Secret = Secret.from_env('KEY')", "env:KEY", {"type": "string", "format": "secret"}),
        ("x = 5  # type: int how many", 5, {"type": "integer"}),
        ("x = datetime.time(6, 30)", "06:30:00", {"type": "string", "format": "time"}),
        (
            "x: Annotated[int, Ge(1), Field(le=9)] = 1", 1,
            {"type": "integer", "minimum": 1, "maximum": 9},
        ),
        ("x: Final[str] = 'a'", "a", {"type": "string"}),
        ("x: Unheard[of] = 'a'", "a", {"type": "string"}),
    ],
)  # fmt: skip
def test_annotations_and_defaults(source: str, default: Any, schema: dict[str, Any]) -> None:
    (parameter,) = declared(source).parameters
    assert (parameter.default, parameter.schema) == (default, schema)
    Draft202012Validator.check_schema(schema)


def test_a_type_comment_leaves_the_description() -> None:
    (parameter,) = declared("x = 5  # type: int how many").parameters
    assert parameter.description == "how many"


@pytest.mark.parametrize(
    ("source", "text", "value"),
    [
        ("x: None | str = None", "BAR", "BAR"),  # papermill #806
        ("x: Literal['african', 'european'] = 'african'", "european", "european"),  # and #906
        ("x: datetime.date = date(2024, 1, 1)", "2026-03-01", date(2026, 3, 1)),  # and #807
        ("x: date = '2024-01-01'", "2026-03-01", "2026-03-01"),
        ("x = date.today()", "2026-03-01", "2026-03-01"),
        ("x: date = date.today()", "2026-03-01", date(2026, 3, 1)),
        ("x: date | None = date(2024, 1, 1)", "None", None),
        ("x: timedelta = timedelta(1)", "1h30m", timedelta(hours=1.5)),
        ("x: timedelta = timedelta(1)", "P1DT0.25S", timedelta(1, 0.25)),
        ("x: Path = Path('a')", "b c/ü'\"", Path("b c/ü'\"")),
        ("x: Path = 'a'", "b", "b"),
        ("x: Path = Path('a')", "s3://bucket/a", "s3://bucket/a"),
        ("x: tuple[int, date] = (1, date(2024, 1, 1))", '[2, "2026-03-01"]', (2, date(2026, 3, 1))),
        ("x = ('a',)", '["b"]', ("b",)),
        ("x: set[str] = set()", "[]", set()),
        ("x: dict[str, Path] = {}", '{"a": "b"}', {"a": Path("b")}),
        ("x: list[date] | None = None", '["2026-03-01"]', [date(2026, 3, 1)]),
        ("x: int | list[int] = 1", "[1, 2]", [1, 2]),
        ("x: float = 0", "1", 1.0),
        ("x = 1", "1", 1),
    ],
)  # fmt: skip
def test_what_the_notebook_gets(source: str, text: str, value: Any, project: Project) -> None:
    found = executed(source, project, x=text)["x"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("source", "given", "message"),
    [
        ("x: date = date(2024, 1, 1)", "1st of May", "expected a date such as"),
        ("x: list[date] = []", '["2026-13-01"]', "each a date such as"),
        ("x: date | int = 1", "later", "a date such as .* or a whole number"),
        ("x: tuple[int, str] = (1, 'a')", "[1]", "a JSON list of a whole number, text"),
        ("x: dict[str, int] = {}", '{"a": "b"}', "'b' is not of type 'integer'"),
        ("x: set[int] = set()", "[1, 1]", "expected a JSON list"),
        ("x: timedelta = timedelta(1)", "soon", "a duration such as 90s"),
        ("x: Literal['a', 'b'] | None = None", "c", 'one of "a", "b", null'),
    ],
)
def test_what_is_refused(source: str, given: str, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        check_parameters(declared(source).parameters, {"x": given})


def test_a_secret_is_a_reference_and_never_the_value(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = "from jupyter_mlops import Secret\nx: Secret = None"
    with pytest.raises(ParameterError, match="env:NAME") as caught:
        check_parameters(declared(source).parameters, {"x": "hunter2-hunter2"})
    assert "hunter2" not in json.dumps(caught.value.to_dict())
    monkeypatch.setenv("WAREHOUSE", "hunter2-hunter2")
    assert executed(source, project, x="env:WAREHOUSE")["x"].reveal() == "hunter2-hunter2"
    (project.root / "key.txt").write_text("from-a-file\n")
    assert executed(source, project, x="file:key.txt")["x"].reveal() == "from-a-file"
    given = {"x": Secret.from_env("WAREHOUSE")}
    assert check_parameters(declared(source).parameters, given) == {"x": "env:WAREHOUSE"}
    with pytest.raises(ParameterError, match=r"got \*\*\*$"):
        check_parameters(declared(source).parameters, {"x": Secret("hunter2-hunter2")})


dates = st.dates()
scalars: list[tuple[str, st.SearchStrategy[Any]]] = [
    ("int", st.integers()),
    ("float", st.floats(allow_nan=False, allow_infinity=False)),
    ("str", st.text(max_size=8)),
    ("bool", st.booleans()),
    ("None", st.none()),
    ("datetime.date", dates),
    ("datetime.datetime", st.datetimes(timezones=st.none() | st.just(datetime.UTC))),
    ("datetime.time", st.times()),
    ("timedelta", st.timedeltas()),
    ("Path", st.text("abé'\" /\\", min_size=1, max_size=6).map(Path)),
    ("Literal['a', 1, None]", st.sampled_from(["a", 1, None])),
]


def nested(kind: tuple[str, st.SearchStrategy[Any]]) -> list[tuple[str, st.SearchStrategy[Any]]]:
    name, values = kind
    return [
        (f"list[{name}]", st.lists(values, max_size=3)),
        (f"tuple[{name}, ...]", st.lists(values, max_size=3).map(tuple)),
        (f"tuple[int, {name}]", st.tuples(st.integers(), values)),
        (f"dict[str, {name}]", st.dictionaries(st.text(max_size=3), values, max_size=3)),
        (f"set[{name}]", st.sets(values, max_size=3)),
        (f"frozenset[{name}]", st.frozensets(values, max_size=3)),
        (f"{name} | None", st.none() | values),
    ]


def hashable(name: str) -> bool:
    return name.startswith(("set[list", "set[dict", "set[set", "frozenset[list", "frozenset[dict",
                            "frozenset[set")) is False  # fmt: skip


once = [two for one in scalars for two in nested(one)]
twice = [two for one in once for two in nested(one) if hashable(two[0]) and "| None" not in one[0]]
KINDS = [*scalars, *once, *twice]


def text_of(value: Any) -> str:
    """What a person would type for it: its JSON, a text as it is."""

    def plain(value: Any) -> Any:
        if isinstance(value, (set, frozenset, tuple, list)):
            return [plain(item) for item in value]
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        if isinstance(value, timedelta):
            days, rest = value.days, value - timedelta(value.days)
            sign, days = ("-", -value.days) if days < 0 and not rest else ("", days)
            if value < timedelta(0) and rest:
                whole = abs(value)
                sign, days, rest = "-", whole.days, whole - timedelta(whole.days)
            return f"{sign}P{days}DT{rest.seconds}.{rest.microseconds:06d}S"
        if isinstance(value, (date, datetime.time)):
            return value.isoformat()
        return str(value) if isinstance(value, Path) else value

    found = plain(value)
    return found if isinstance(found, str) else json.dumps(found)


@given(st.sampled_from(KINDS).flatmap(lambda kind: st.tuples(st.just(kind[0]), kind[1])))
def test_text_value_code_value(drawn: tuple[str, Any]) -> None:
    annotation, value = drawn
    known = declared(f"x: {annotation}")
    project = Project(Path("/nowhere"), Path("/nowhere/.mlops"))
    for given_value in (text_of(value), value):
        if isinstance(value, str) and "None" in annotation and value.strip() in ("None", "null"):
            return  # text on a command line: nothing
        checked = check_parameters(known.parameters, {"x": given_value})
        json.dumps(checked, allow_nan=False)
        injected = injected_values(project, known, checked, "a.ipynb")
        notebook: dict[str, Any] = {"cells": [], "metadata": {"papermill": {}}}
        inject(notebook, injected, "python3", "python")
        source = notebook["cells"][0]["source"]
        ast.parse(source)
        space: dict[str, Any] = {}
        exec(source, space)
        assert space["x"] == value, source
        assert type(space["x"]) is type(value)
