"""The same requests to MLflow's own scoring server and to ours.

Where a case says nothing more, both must give the same class of status and the same predictions.
A deliberate difference is marked with our status, and docs/serving.md lists it.
"""

from __future__ import annotations

import http.client
import json
import os
import warnings
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from jupyter_mlops.serving.bundle import read_bundle
from jupyter_mlops.serving.predictor import Predictor

from .conftest import TOKEN, Served, serving

# As in the child: columns are matched by name before the model sees them.
pytestmark = pytest.mark.filterwarnings("ignore:X does not have valid feature names")
MODELS = ("mixed", "numeric", "proba", "array", "whole")
TRIP = {"distance": 2.5, "passengers": 2, "borough": "Bronx", "night": False}
COLUMNS = list(TRIP)
ROW = list(TRIP.values())


def trips(*rows: dict[str, Any]) -> dict[str, Any]:
    return {"dataframe_records": list(rows)}


def with_(**changes: Any) -> dict[str, Any]:
    return trips(TRIP | changes)


def without(name: str) -> dict[str, Any]:
    return trips({k: v for k, v in TRIP.items() if k != name})


CASES: dict[str, tuple[str, Any]] = {
    # tables
    "records": ("mixed", trips(TRIP, TRIP | {"distance": 20.0, "night": True})),
    "split": ("mixed", {"dataframe_split": {"columns": COLUMNS, "data": [ROW, ROW]}}),
    "split, another order": (
        "mixed",
        {"dataframe_split": {"columns": COLUMNS[::-1], "data": [ROW[::-1]]}},
    ),
    "split with an index": (
        "mixed",
        {"dataframe_split": {"columns": COLUMNS, "data": [ROW], "index": [9]}},
    ),
    "inputs by column": ("mixed", {"inputs": {k: [v, v] for k, v in TRIP.items()}}),
    "inputs of one row": ("mixed", {"inputs": TRIP}),
    "inputs of records": ("mixed", {"inputs": [TRIP, TRIP]}),
    "instances": ("mixed", {"instances": [TRIP, TRIP]}),
    "instances by column": ("mixed", {"instances": {k: [v] for k, v in TRIP.items()}}),
    "an extra column": ("mixed", with_(weather="rain")),
    "params without a schema": ("mixed", trips(TRIP) | {"params": {"x": 1}}),
    "an unknown category": ("mixed", with_(borough="Staten Island")),
    "an integer for a double": ("mixed", with_(distance=2)),
    "a whole float for an integer": ("mixed", with_(passengers=3.0)),
    "null in a double": ("mixed", with_(distance=None)),
    "null in an integer": ("mixed", with_(passengers=None)),
    "null in a text": ("mixed", with_(borough=None)),
    "text in a double": ("mixed", with_(distance="far")),
    "an array in a double": ("mixed", with_(distance=[1.0])),
    "an integer of 70 bits": ("mixed", with_(passengers=2**70)),
    "a missing column": ("mixed", without("borough")),
    "two missing columns": ("mixed", trips({"distance": 1.0, "night": True})),
    "split without names": ("mixed", {"dataframe_split": {"data": [ROW]}}),
    "split, short row of names": (
        "mixed",
        {"dataframe_split": {"columns": COLUMNS[:2], "data": [ROW]}},
    ),
    "instances of arrays for named columns": ("mixed", {"instances": [ROW]}),
    "a record without a double": ("mixed", trips(TRIP, {k: TRIP[k] for k in COLUMNS[1:]})),
    "no rows": ("mixed", {"dataframe_split": {"columns": COLUMNS, "data": []}}),
    "columns of different lengths": (
        "mixed",
        {"inputs": {k: [v] * (1 + (k == "night")) for k, v in TRIP.items()}},
    ),
    "two formats": ("mixed", trips(TRIP) | {"inputs": [TRIP]}),
    "no format": ("mixed", {"columns": COLUMNS, "data": [ROW]}),
    "a list": ("mixed", [TRIP]),
    "not JSON": ("mixed", b"{"),
    "not UTF-8": ("mixed", b"\xff\xfe\xfa"),
    # numbers alone: the path through arrays
    "numeric records": ("numeric", trips({"a": 5.1, "b": 3.5, "c": 1.4, "d": 0.2})),
    "numeric split": (
        "numeric",
        {"dataframe_split": {"columns": list("dcba"), "data": [[2.0, 5, 3, 6.5], [0, 1, 3, 5]]}},
    ),
    "a row that is too short": (
        "numeric",
        {"dataframe_split": {"columns": list("abcd"), "data": [[1, 2, 3, 4], [1, 2, 3]]}},
    ),
    "probabilities": ("proba", trips({"a": 5.1, "b": 3.5, "c": 1.4, "d": 0.2})),
    "NaN in a scaled column": ("numeric", b'{"inputs": {"a": NaN, "b": 1, "c": 1, "d": 1}}'),
    "whole numbers": ("whole", trips({"few": 3, "many": 30})),
    "beyond 64 bits": ("whole", trips({"few": 1, "many": 2**64})),
    # a tensor
    "instances for a tensor": ("array", {"instances": [[5.1, 3.5, 1.4, 0.2], [6, 3, 5, 2]]}),
    "inputs for a tensor": ("array", {"inputs": [[5.1, 3.5, 1.4, 0.2]]}),
    "split for a tensor": ("array", {"dataframe_split": {"data": [[5.1, 3.5, 1.4, 0.2]]}}),
    "records for a tensor": ("array", trips({"a": 5.1, "b": 3.5, "c": 1.4, "d": 0.2})),
    "null in a tensor": ("array", {"inputs": [[5.1, 3.5, 1.4, None]]}),
    "too wide for the tensor": ("array", {"inputs": [[1, 2, 3, 4, 5]]}),
    "too flat for the tensor": ("array", {"inputs": [1, 2, 3, 4]}),
    "too deep for the tensor": ("array", {"inputs": [[[1, 2, 3, 4]]]}),
    "ragged": ("array", {"inputs": [[1, 2, 3, 4], [1, 2]]}),
    "text in a tensor": ("array", {"inputs": [["a", 2, 3, 4]]}),
}

CSV: dict[str, tuple[str, str]] = {
    "csv": ("mixed", "distance,passengers,borough,night\n2.5,2,Bronx,False\n20.0,1,Queens,True\n"),
    "csv, order and extra": (
        "mixed",
        "night,borough,weather,passengers,distance\ntrue,Bronx,rain,2,2.5\n",
    ),
    "csv, an empty double": (
        "mixed",
        "distance,passengers,borough,night\n,2,Bronx,False\n",
    ),
    "csv, numbers": ("numeric", "a,b,c,d\n5.1,3.5,1.4,0.2\n6.5,3,5.2,2\n"),
    "csv, a column missing": ("numeric", "a,b,c\n5.1,3.5,1.4\n"),
    "csv, text in a double": ("numeric", "a,b,c,d\n5.1,3.5,long,0.2\n"),
    "csv, an empty integer": ("whole", "few,many\n,1\n"),
    "csv, half an integer": ("whole", "few,many\n1.5,1\n"),
    "csv, nothing": ("numeric", ""),
    "csv, ragged": ("numeric", "a,b,c,d\n1,2,3,4\n1,2,3,4,5,6\n"),
}

# MLflow's server answers 200 to these, with a value that nobody sent; ours says which value it is.
STRICTER: dict[str, tuple[str, Any]] = {
    "1.7 in an integer is cut to 1": ("mixed", with_(passengers=1.7)),
    "text that reads as a number": ("mixed", with_(distance="2.5")),
    "'false' is made true": ("mixed", with_(night="false")),
    "null is made false": ("mixed", with_(night=None)),
    "a number among the words": ("mixed", with_(borough=7)),
    "an integer beyond 32 bits is another one": ("whole", trips({"few": 2**40, "many": 30})),
    "text in a tensor that reads as a number": ("array", {"inputs": [["1", 2, 3, 4]]}),
}


# MLflow's server refuses these for reasons of its own.
MORE: dict[str, tuple[str, Any, str]] = {
    "csv for a tensor": ("array", "a,b,c,d\n5.1,3.5,1.4,0.2\n", "text/csv"),
    "media type in capitals": ("array", {"inputs": [[5.1, 3.5, 1.4, 0.2]]}, "Application/JSON"),
}


# MLflow's server fails on these, where the request is at fault.
CRASHES: dict[str, tuple[Any, str | None, int]] = {
    "deeply nested": (b'{"inputs": ' + b"[" * 100_000, "application/json", 400),
    "no content type": ({"inputs": [[1, 2, 3, 4]]}, None, 415),
}


class Pair:
    """One model behind both servers."""

    def __init__(self, client: Any, served: Served) -> None:
        self._client, self._port = client, served.port

    def ask(self, body: Any, kind: str | None) -> tuple[tuple[int, Any], tuple[int, Any]]:
        data = body.encode() if isinstance(body, str) else body
        data = data if isinstance(data, bytes) else json.dumps(data).encode()
        header = {} if kind is None else {"Content-Type": kind}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # MLflow's and pandas', in the test's own process
            theirs = self._client.post("/invocations", content=data, headers=header)
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        header["Authorization"] = f"Bearer {TOKEN}"
        connection.request("POST", "/invocations", data, header)
        ours = connection.getresponse()
        answer = json.loads(ours.read())
        connection.close()
        try:
            expected = theirs.json()
        except ValueError:
            expected = theirs.text
        return (theirs.status_code, expected), (ours.status, answer)


@pytest.fixture(scope="module")
def pairs(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Pair]]:
    with ExitStack() as stack:
        stack.enter_context(mock.patch.dict(os.environ))  # MLflow's server sets a variable
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # MLflow's and Starlette's imports
            import mlflow.pyfunc
            from mlflow.pyfunc import scoring_server
            from starlette.testclient import TestClient

            loaded = {name: mlflow.pyfunc.load_model(str(models / name)) for name in MODELS}
        found = {}
        for name, model in loaded.items():
            client = stack.enter_context(
                TestClient(scoring_server.init(model), raise_server_exceptions=False)
            )
            predictor = Predictor.load(read_bundle(models / name), 1000)
            folder = tmp_path_factory.mktemp(name)
            found[name] = Pair(client, stack.enter_context(serving(folder, predictor)))
        yield found


@pytest.mark.parametrize("case", CASES)
def test_json_as_mlflow_does(pairs: dict[str, Pair], case: str) -> None:
    model, body = CASES[case]
    _same(*pairs[model].ask(body, "application/json"))


@pytest.mark.parametrize("case", CSV)
def test_csv_as_mlflow_does(pairs: dict[str, Pair], case: str) -> None:
    model, body = CSV[case]
    _same(*pairs[model].ask(body, "text/csv"))


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/json; charset=latin-1", "application/json; header=x"]
)
def test_other_types_as_mlflow_does(pairs: dict[str, Pair], kind: str) -> None:
    theirs, ours = pairs["array"].ask({"inputs": [[1, 2, 3, 4]]}, kind)
    assert ours[0] == theirs[0] == 415


@pytest.mark.parametrize("case", STRICTER)
def test_refused_where_mlflow_scores_another_value(pairs: dict[str, Pair], case: str) -> None:
    model, body = STRICTER[case]
    theirs, ours = pairs[model].ask(body, "application/json")
    assert theirs[0] == 200
    assert ours[0] == 400
    assert ours[1]["error_code"] == "BAD_REQUEST"


@pytest.mark.parametrize("case", MORE)
def test_scored_where_mlflow_refuses(pairs: dict[str, Pair], case: str) -> None:
    model, body, kind = MORE[case]
    theirs, ours = pairs[model].ask(body, kind)
    assert theirs[0] in (400, 415)
    assert (ours[0], ours[1]) == (200, {"predictions": [0]})


@pytest.mark.parametrize("case", CRASHES)
def test_refused_where_mlflow_fails(pairs: dict[str, Pair], case: str) -> None:
    body, kind, status = CRASHES[case]
    theirs, ours = pairs["array"].ask(body, kind)
    assert theirs[0] == 500
    assert ours[0] == status


def _same(theirs: tuple[int, Any], ours: tuple[int, Any]) -> None:
    assert ours[0] // 100 == theirs[0] // 100, (theirs, ours)
    if ours[0] == 200:
        assert ours[1] == theirs[1]
    else:
        assert ours[0] == 400
        assert set(ours[1]) == {"error_code", "message"}
        assert "Traceback" not in ours[1]["message"]
