"""``python -m jupyter_mlops.dataflow.replay CASES.json [--json OUT]``: judge slices by replay.

The harness stands above this package's layer (it starts kernels), so it is loaded by name.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

__all__ = ["main"]

_HARNESS = "jupyter_mlops.promotion.harness_command"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the harness; return its exit code (0 sound, 2 bad input, 4 a replay differed)."""
    return int(import_module(_HARNESS).main(arguments))


if __name__ == "__main__":
    sys.exit(main())
