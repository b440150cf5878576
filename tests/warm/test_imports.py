"""Which modules a notebook's code names."""

from __future__ import annotations

import json
from pathlib import Path

from jupyter_mlops.warm import imported_modules


def notebook(path: Path, *cells: str) -> Path:
    data = {"cells": [{"cell_type": "code", "source": cell} for cell in cells]}
    data["cells"].append({"cell_type": "markdown", "source": "import markdown"})
    path.write_text(json.dumps(data))
    return path


def test_finds_absolute_imports_between_magics(tmp_path: Path) -> None:
    first = notebook(
        tmp_path / "a.ipynb",
        "%matplotlib inline\nimport numpy as np, os.path\nfrom sklearn.ensemble import X",
        "%%track\nif True:\n    !ls\n    import pandas",
        "from . import here\nfrom __future__ import annotations",
        "%%bash\necho $HOME | import this",
        "def broken(:",
    )
    second = notebook(tmp_path / "b.ipynb", "import pandas, csv")
    found = imported_modules(first, second, tmp_path / "none.ipynb")
    assert found == ("csv", "numpy", "os.path", "pandas", "sklearn.ensemble")
