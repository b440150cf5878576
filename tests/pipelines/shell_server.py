"""Executes notebooks as a kernel would, in forks of one small process: for tests of many runs.

Reads one JSON request a line; each is a fork that injects parameters, runs the cells in one
namespace with IPython's names for them, and writes the executed notebook.  The evidence is the
real one.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib.util
import io
import json
import os
import sys


def main() -> None:
    """Serve until standard input ends."""
    for line in sys.stdin:
        request = json.loads(line)
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                code = run(request)
            finally:
                os._exit(code)
        _, status = os.waitpid(pid, 0)
        sys.stdout.write(json.dumps({"status": os.waitstatus_to_exitcode(status)}) + "\n")
        sys.stdout.flush()


def run(request: dict[str, object]) -> int:
    """Run one notebook; 0 if all cells were executed."""
    os.environ.clear()
    os.environ.update(request["env"])  # type: ignore[call-overload]
    os.chdir(request["cwd"])  # type: ignore[arg-type]
    with open(request["notebook"]) as file:  # type: ignore[call-overload]
        notebook = json.load(file)
    sys.path.insert(0, "")
    sys.argv = ["kernel"]
    spec = importlib.util.spec_from_file_location("_mlops_engine_evidence", request["evidence"])  # type: ignore[arg-type]
    assert spec is not None
    assert spec.loader is not None
    evidence = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = evidence
    spec.loader.exec_module(evidence)
    evidence.install_from_environment()
    inject(notebook, request["parameters"])  # type: ignore[arg-type]
    namespace: dict[str, object] = {"__name__": "__main__"}
    failed = 0
    for number, cell in enumerate(notebook["cells"]):
        if cell["cell_type"] != "code" or failed or not "".join(cell["source"]).strip():
            continue
        text = io.StringIO()
        try:
            with contextlib.redirect_stdout(text):
                made = compile("".join(cell["source"]), f"<ipython-input-{number}>", "exec")
                exec(made, namespace)
        except BaseException as error:
            text.write(f"{type(error).__name__}: {error}")
            failed = 1
        cell["execution_count"] = number + 1
        cell["outputs"] = []
        if text.getvalue():
            stream = {"output_type": "stream", "name": "stdout", "text": text.getvalue()}
            cell["outputs"] = [stream]
    atexit._run_exitfuncs()
    with open(request["output"], "w") as file:  # type: ignore[call-overload]
        json.dump(notebook, file)
    return failed


def inject(notebook: dict[str, object], parameters: dict[str, object]) -> None:
    """Put the parameters where papermill would."""
    cells: list[dict[str, object]] = notebook["cells"]  # type: ignore[assignment]
    source = "".join(f"{name} = {value!r}\n" for name, value in parameters.items())
    injected: dict[str, object] = {
        "cell_type": "code", "id": "injected", "execution_count": None, "outputs": [],
        "metadata": {"tags": ["injected-parameters"]}, "source": source,
    }  # fmt: skip
    at = next((i for i, c in enumerate(cells) if "parameters" in c["metadata"].get("tags", [])), -1)  # type: ignore[attr-defined]
    cells.insert(at + 1, injected)


if __name__ == "__main__":
    main()
