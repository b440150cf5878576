"""A session on a file system that fills up and is freed again; it prints what happened as JSON.

Run in a project on a small tmpfs, as ``python -m tests.faults.full_disk_child``.
"""

from __future__ import annotations

import io
import json
import os
import sys
from contextlib import redirect_stderr
from pathlib import Path

# More output than what is left of the journal's last page, which the system has given already.
CELL = (
    "%%track --tag cell={number}\nnumber = {number}\nhalf = number / 2\n"
    "print('cell {number}' + ' ' * 9000)\n"
)
MODEL = "model = DummyRegressor(constant=number, strategy='constant').fit([[0.0]], [1.0])\n"


def main() -> None:
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    config = Config()
    config.HistoryManager.hist_file = ":memory:"
    shell = InteractiveShell.instance(config=config)
    shell.display_pub.publish = lambda *args, **kwargs: None
    shell.extension_manager.load_extension("jupyter_mlops")
    shell.run_cell("from sklearn.dummy import DummyRegressor")
    found = []

    def cell(number: int) -> None:
        errors, output, real = io.StringIO(), io.StringIO(), sys.stdout
        with redirect_stderr(errors):
            sys.stdout = output
            try:
                source = CELL.format(number=number) + (MODEL if number % 2 else "")
                result = shell.run_cell(source, store_history=True)
            finally:
                sys.stdout = real
        found.append(
            {
                "number": number,
                "failed": result.error_in_exec is not None,
                "half": shell.user_ns.get("half"),
                "output": output.getvalue().rstrip(),
                "warnings": errors.getvalue().splitlines(),
            }
        )

    for number in range(4):
        cell(number)
    ballast = Path("ballast")
    with ballast.open("wb") as file:  # all that is left
        try:
            while True:
                os.write(file.fileno(), b"x" * 4096)
        except OSError as error:
            assert error.errno == 28  # noqa: PT017
    for number in range(4, 8):
        cell(number)
    ballast.unlink()
    for number in range(8, 10):
        cell(number)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
