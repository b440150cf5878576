"""The error tree: codes, builtins, and the docstring that draws it."""

from __future__ import annotations

import inspect

import pytest

from jupyter_mlops import errors

TREE = [getattr(errors, name) for name in errors.__all__ if name != "MlopsError"]


def test_exported_names_are_sorted_and_complete() -> None:
    assert errors.__all__ == sorted(errors.__all__)
    defined = {
        name
        for name, item in vars(errors).items()
        if inspect.isclass(item) and item.__module__ == errors.__name__
    }
    assert defined == set(errors.__all__)


@pytest.mark.parametrize("error", TREE)
def test_each_error_is_drawn_with_its_exit_code(error: type[errors.MlopsError]) -> None:
    (line,) = [x for x in (errors.__doc__ or "").splitlines() if f" {error.__name__} " in x + " "]
    assert str(error.exit_code) in line.split()
    assert error.exit_code in {1, 2, 3, 4, 5}
    assert issubclass(error, errors.MlopsError)


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (errors.UsageError, ValueError),
        (errors.NotFoundError, LookupError),
        (errors.ProjectError, OSError),
        (errors.MissingDependencyError, ImportError),
        (errors.CorruptError, ValueError),
        (errors.ServiceError, ConnectionError),
    ],
)
def test_errors_are_also_the_builtin_people_catch(
    error: type[Exception], builtin: type[Exception]
) -> None:
    assert issubclass(error, builtin)


def test_an_error_carries_fields_and_hint() -> None:
    error = errors.NotFoundError("no run 'abc'", hint="See runs ls.", run="abc")
    assert str(error) == "no run 'abc'"
    assert error.to_dict() == {
        "message": "no run 'abc'",
        "reason": "not_found",
        "hint": "See runs ls.",
        "exit_code": 2,
        "fields": {"run": "abc"},
    }


def test_reasons_are_distinct() -> None:
    reasons = [error.reason for error in TREE]
    assert len(set(reasons)) == len(reasons)


@pytest.mark.parametrize("error", TREE)
def test_an_error_keeps_its_class_and_fields_on_a_wire(error: type[errors.MlopsError]) -> None:
    sent = error("no such thing", hint="Do this.", gates=[{"name": "a"}])
    received = errors.MlopsError.from_dict(sent.to_dict())
    assert type(received) is error
    assert received.to_dict() == sent.to_dict()


def test_an_error_of_a_later_version_is_still_an_error() -> None:
    assert type(errors.MlopsError.from_dict({"message": "x", "reason": "new"})) is errors.MlopsError
