"""Which variables decide where a run is delivered to, and with whose rights.

The agent delivers under the environment that it was started in.  A command that was given another
address or other credentials must not leave its run to that agent.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

__all__ = ["delivery_key"]

_PREFIXES = ("MLFLOW_", "DATABRICKS_", "AWS_", "AZURE_", "GOOGLE_", "BOTO_")
_NAMES = {
    "JUPYTER_MLOPS_TRACKING_URI", "JUPYTER_MLOPS_EXPERIMENT", "JUPYTER_MLOPS_CAPTURE",
    "JUPYTER_MLOPS_HOME", "JUPYTER_MLOPS_TRUST_PICKLE", "JUPYTER_MLOPS_REDACT",
}  # fmt: skip
# Of one cell of a kernel, and not of where it delivers: an agent that a kernel starts lacks it.
_NOT = {"MLFLOW_RUN_ID"}


def delivery_key(env: Mapping[str, str]) -> str:
    """16 hex digits, equal where the variables are that act on delivery."""
    found = sorted(
        (name, value)
        for name, value in env.items()
        if (name.startswith(_PREFIXES) or name in _NAMES) and name not in _NOT and value
    )
    text = json.dumps(found).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=8).hexdigest()
