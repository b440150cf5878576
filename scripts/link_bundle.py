"""Put the built extension and the server's configuration where an installed wheel has them.

An editable install maps the Python package only; JupyterLab and Jupyter Server look under the
environment's ``share/`` and ``etc/``.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_symlink() or target.is_file():
        target.unlink()
    elif target.exists():
        shutil.rmtree(target)
    target.symlink_to(source)


def main() -> None:
    prefix = Path(sys.prefix)
    link(
        ROOT / "jupyter_mlops" / "labextension",
        prefix / "share/jupyter/labextensions/jupyter-mlops",
    )
    link(
        ROOT / "jupyter-config/server-config/jupyter_mlops.json",
        prefix / "etc/jupyter/jupyter_server_config.d/jupyter_mlops.json",
    )


if __name__ == "__main__":
    main()
