"""Start of the zygote: ``python [flags] .../zygote JSON``; see ``main.main`` for the JSON."""

from __future__ import annotations

import importlib.util
import os
import sys


def _begin() -> None:
    # Run by path, so that an interpreter without the package can run it: load the folder as a
    # package of a name that nobody else has, and keep the folder off sys.path.
    folder = os.path.dirname(os.path.abspath(__file__))
    if sys.path and os.path.abspath(sys.path[0]) == folder:
        del sys.path[0]
    spec = importlib.util.spec_from_file_location(
        "_mlops_zygote", os.path.join(folder, "__init__.py"), submodule_search_locations=[folder]
    )
    if spec is None or spec.loader is None:
        raise ImportError(folder)
    package = importlib.util.module_from_spec(spec)
    sys.modules["_mlops_zygote"] = package
    spec.loader.exec_module(package)
    main = importlib.import_module("_mlops_zygote.main")
    main.main(sys.argv[1:])


if __name__ == "__main__":
    _begin()
