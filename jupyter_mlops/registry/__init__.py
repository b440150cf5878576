"""The registry: model versions, their aliases and gates, and loading them safely."""

from .aliases import AliasChange, alias_moves, policy_for, revert_alias, set_alias
from .gates import evaluate_gates
from .load import load_code, load_folder, load_model, model_folder
from .versions import get_version, list_models, register_run, remove_version

__all__ = [
    "AliasChange",
    "alias_moves",
    "evaluate_gates",
    "get_version",
    "list_models",
    "load_code",
    "load_folder",
    "load_model",
    "model_folder",
    "policy_for",
    "register_run",
    "remove_version",
    "revert_alias",
    "set_alias",
]
