"""The lines by which a step writes a value and another reads it back exactly.

They use pandas (with pyarrow), NumPy, skops and json alone, so that a step runs where this package
is not installed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["ENDINGS", "Written", "join_blocks", "read_lines", "write_lines"]

ENDINGS = {
    "parquet": "parquet", "series": "parquet", "feather": "feather", "npy": "npy",
    "npy-scalar": "npy", "json": "json", "skops": "skops", "pickle": "pickle",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Written:
    """How a value is handed over.

    ``format`` is one of ``ENDINGS``; ``trusted`` are the types that skops must be allowed to make;
    ``name`` is that of a series.
    """

    variable: str
    format: str
    trusted: tuple[str, ...] = ()
    name: str | None = None
    digest: str | None = None

    @property
    def file(self) -> str:
        """The name of the file."""
        return f"{self.variable}.{ENDINGS[self.format]}"


def write_lines(value: Written, path: str) -> str:
    """Return the statements that write a variable where the parameter ``path`` says."""
    name = value.variable
    if value.format == "parquet":
        return f"{name}.to_parquet({path})"
    if value.format == "feather":
        return f"{name}.to_feather({path})"
    if value.format == "series":
        return f'{name}.to_frame("value").to_parquet({path})'
    if value.format in ("npy", "npy-scalar"):
        return (
            f'import numpy\n\nwith open({path}, "wb") as _file:\n'
            f"    numpy.save(_file, {name}, allow_pickle=False)"
        )
    if value.format == "json":
        return (
            f'import json\n\nwith open({path}, "w", encoding="utf-8") as _file:\n'
            f"    json.dump({name}, _file)"
        )
    if value.format == "pickle":
        return f'import pickle\n\nwith open({path}, "wb") as _file:\n    pickle.dump({name}, _file)'
    return f"import skops.io\n\nskops.io.dump({name}, {path})"


def read_lines(value: Written, path: str) -> str:
    """Return the statements that bind the variable to what stands at ``path``."""
    name = value.variable
    if value.format == "parquet":
        return f"import pandas\n\n{name} = pandas.read_parquet({path})"
    if value.format == "feather":
        return f"import pandas\n\n{name} = pandas.read_feather({path})"
    if value.format == "series":
        known = "None" if value.name is None else json.dumps(value.name)
        return f'import pandas\n\n{name} = pandas.read_parquet({path})["value"].rename({known})'
    if value.format in ("npy", "npy-scalar"):
        scalar = "[()]" if value.format == "npy-scalar" else ""
        return f"import numpy\n\n{name} = numpy.load({path}, allow_pickle=False){scalar}"
    if value.format == "json":
        return (
            f'import json\n\nwith open({path}, encoding="utf-8") as _file:\n'
            f"    {name} = json.load(_file)"
        )
    if value.format == "pickle":
        return (
            f'import pickle\n\nwith open({path}, "rb") as _file:\n    {name} = pickle.load(_file)'
        )
    return f"import skops.io\n\n{name} = skops.io.load({path}, trusted={_listed(value.trusted)})"


def _listed(types: Sequence[str]) -> str:
    return "[" + ", ".join(json.dumps(name) for name in types) + "]"


def join_blocks(blocks: Sequence[str]) -> str:
    """Join statements, each import said once and first."""
    imports: list[str] = []
    rest: list[str] = []
    for block in blocks:
        lines = block.split("\n")
        if lines[0].startswith("import ") and len(lines) > 2 and not lines[1]:
            imports.append(lines[0])
            rest.append("\n".join(lines[2:]))
        else:
            rest.append(block)
    head = "\n".join(sorted(dict.fromkeys(imports)))
    return (head + "\n\n" if head else "") + "\n".join(rest)
