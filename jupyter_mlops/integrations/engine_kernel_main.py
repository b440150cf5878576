"""Starts an IPython kernel for a headless run: ``python engine_kernel_main.py -f FILE``.

Run in the kernel's own environment in place of ``python -m ipykernel_launcher``, as a file: it
needs ipykernel and nothing of this package (beside it lies ``engine_evidence.py``, which it loads
where a step cache asks for evidence).  It changes three things, each left out where the
installed ipykernel is another than expected:

- output is never dropped: the socket waits for its one reader, where it would drop messages after
  a thousand (``ZMQ_XPUB_NODROP``);
- the debugger, which nobody can attach here, is not imported at the start;
- no history file is opened.
"""

import contextlib
import importlib.util
import os
import sys


def main() -> None:
    """Start the kernel."""
    # The folder of a script is put first; this one's modules are nobody's business.
    here = os.path.dirname(os.path.abspath(__file__))
    if sys.path and sys.path[0] and os.path.abspath(sys.path[0]) == here:
        del sys.path[0]
    if sys.path and sys.path[0] == "":
        del sys.path[0]  # IPython adds it again, after its own imports
    with contextlib.suppress(Exception):
        _leave_out_the_debugger()
    from ipykernel import kernelapp

    with contextlib.suppress(Exception):
        _never_drop(kernelapp.IPKernelApp)
    with contextlib.suppress(Exception):
        _watch()
    kernelapp.launch_new_instance()


def _leave_out_the_debugger() -> None:
    if importlib.util.find_spec("ipykernel.debugger") is None:
        return
    import types

    # Only what ipykernel asks of its debugger module when there is no debugpy.
    stand_in = types.ModuleType("ipykernel.debugger")
    stand_in._is_debugpy_available = False  # type: ignore[attr-defined]
    stand_in.Debugger = type("Debugger", (), {})  # type: ignore[attr-defined]
    sys.modules["ipykernel.debugger"] = stand_in


def _watch() -> None:
    """Have evidence written of what the step does, where the step cache wants it."""
    if not os.environ.get("JUPYTER_MLOPS_STEP_EVIDENCE"):
        return
    name, here = "_mlops_engine_evidence", os.path.dirname(os.path.abspath(__file__))
    place = os.path.join(here, "engine_evidence.py")
    spec = importlib.util.spec_from_file_location(name, place)
    if spec is not None and spec.loader is not None:
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        module.install_from_environment()


def _never_drop(app: type) -> None:
    import zmq

    init = app.init_iopub  # type: ignore[attr-defined]

    def init_iopub(self: object, context: "zmq.Context[zmq.Socket[bytes]]") -> None:
        make = context.socket

        def socket(kind: int, *args: object, **options: object) -> "zmq.Socket[bytes]":
            made = make(kind, *args, **options)  # type: ignore[arg-type]
            if kind in (zmq.XPUB, zmq.PUB):
                with contextlib.suppress(zmq.ZMQError):
                    made.setsockopt(zmq.XPUB_NODROP, 1)
            return made

        context.socket = socket  # type: ignore[method-assign,assignment]
        try:
            init(self, context)
        finally:
            del context.socket

    app.init_iopub = init_iopub  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
