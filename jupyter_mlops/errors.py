"""Every error this package raises on purpose, in one tree.

::

    MlopsError                      exit_code, hint, fields
    ├── UsageError (ValueError)              2  what was asked for cannot be done as asked
    │   ├── NotebookError                    2  a file is not a notebook, or holds nothing tracked
    │   ├── ParameterError                   2  unknown parameter, or a value of the wrong type
    │   ├── PipelineError                    2  a pipeline.yaml or policy.yaml that is not valid
    │   ├── NotFoundError (LookupError)      2  no such run, model version, schedule ...
    │   ├── ConflictError                    2  it exists already, or someone else holds it
    │   └── Undigested                       2  a value that has no digest, or none within the time
    │       └── Refused                      2  what it holds has no canonical form
    ├── ProjectError (OSError)               2  the project folder cannot be made, read or written
    ├── MissingDependencyError (ImportError) 2  names the exact ``pip install`` line
    ├── UntrustedError                       2  loading it would need consent to run foreign code
    ├── CorruptError (ValueError)            2  a file of ours fails its checksum
    ├── RunError                             1  the notebook, step or job failed
    ├── GateRefusedError                     3  a gate said no
    ├── ReplayDiffersError                   4  a replay gave another result
    └── ServiceError (ConnectionError)       5  an outside service did not answer
        └── AgentUnavailable                 5  the project's agent does not run or does not answer

Each also derives from the builtin that callers already catch.  ``exit_code`` is what the command
line returns; ``hint`` is the next action, in one sentence; ``fields`` are the same facts as data,
which the REST API returns beside the message.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

__all__ = [
    "AgentUnavailable",
    "ConflictError",
    "CorruptError",
    "GateRefusedError",
    "MissingDependencyError",
    "MlopsError",
    "NotFoundError",
    "NotebookError",
    "ParameterError",
    "PipelineError",
    "ProjectError",
    "Refused",
    "ReplayDiffersError",
    "RunError",
    "ServiceError",
    "Undigested",
    "UntrustedError",
    "UsageError",
]


class MlopsError(Exception):
    """Base of every error raised on purpose.

    ``message`` names the input and what was wrong; ``hint`` says what to do about it;
    keyword ``fields`` are kept as data on the error.
    """

    exit_code: ClassVar[int] = 1
    reason: ClassVar[str] = "error"

    def __init__(self, message: str, *, hint: str | None = None, **fields: Any) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.fields = fields

    def __str__(self) -> str:
        return self.message

    def to_dict(self) -> dict[str, Any]:
        """Return ``{"message", "reason", "hint", "exit_code", "fields"}`` (REST, ``--json``)."""
        return {
            "message": self.message,
            "reason": self.reason,
            "hint": self.hint,
            "exit_code": self.exit_code,
            "fields": self.fields,
        }

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> MlopsError:
        """Return the error that ``data`` is the ``to_dict()`` of: it keeps its class on a wire.

        A reason that this version does not know becomes ``MlopsError`` itself.
        """
        fields = {
            str(k): v
            for k, v in dict(data.get("fields") or {}).items()
            if k not in ("message", "hint")
        }
        kind = _by_reason(MlopsError).get(str(data.get("reason")), MlopsError)
        return kind(str(data.get("message") or "unknown error"), hint=data.get("hint"), **fields)


class UsageError(MlopsError, ValueError):
    """What was asked for cannot be done as asked."""

    exit_code = 2
    reason = "usage"


class NotebookError(UsageError):
    """A file is not a readable notebook, or holds nothing that was tracked."""

    reason = "notebook"


class ParameterError(UsageError):
    """An unknown parameter, or a value of the wrong type."""

    reason = "parameter"


class PipelineError(UsageError):
    """A ``pipeline.yaml`` or ``policy.yaml`` that is not valid."""

    reason = "pipeline"


class NotFoundError(UsageError, LookupError):
    """No such run, model version, pipeline, schedule or deployment."""

    reason = "not_found"


class ConflictError(UsageError):
    """It exists already, or something else holds it."""

    reason = "conflict"


class Undigested(UsageError):
    """A value has no digest, or none could be taken within the time that was given for it."""

    reason = "undigested"


class Refused(Undigested):
    """A value holds something without a canonical form; ``fields["column"]`` says where."""

    reason = "refused"


class ProjectError(MlopsError, OSError):
    """The project folder cannot be made, read or written."""

    exit_code = 2
    reason = "project"


class MissingDependencyError(MlopsError, ImportError):
    """A package that this verb needs is not installed; ``hint`` is the ``pip install`` line."""

    exit_code = 2
    reason = "missing_dependency"


class UntrustedError(MlopsError):
    """Loading this would run code that nobody here has consented to."""

    exit_code = 2
    reason = "untrusted"


class CorruptError(MlopsError, ValueError):
    """A file of ours fails its checksum or cannot be read back."""

    exit_code = 2
    reason = "corrupt"


class RunError(MlopsError):
    """The notebook, step or job failed."""

    exit_code = 1
    reason = "run_failed"


class GateRefusedError(MlopsError):
    """A gate said no; ``fields["gates"]`` holds each gate's verdict."""

    exit_code = 3
    reason = "gate_refused"


class ReplayDiffersError(MlopsError):
    """A replay gave another result; ``fields["differences"]`` says which values."""

    exit_code = 4
    reason = "replay_differs"


class ServiceError(MlopsError, ConnectionError):
    """An outside service that the verb needs did not answer."""

    exit_code = 5
    reason = "service"


class AgentUnavailable(ServiceError):
    """The project's agent does not run, or does not answer."""

    reason = "agent"


def _by_reason(kind: type[MlopsError]) -> dict[str, type[MlopsError]]:
    found = {kind.reason: kind}
    for child in kind.__subclasses__():
        if child.__module__ == __name__:
            found |= _by_reason(child)
    return found
