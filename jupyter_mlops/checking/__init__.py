"""Checking notebooks: the rules of ``dataflow.findings`` on files and sessions of a project."""

from .formats import FORMATS, render
from .lines import CellLines, cell_lines
from .rules import chosen_rules
from .service import Checked, check_cells, check_executed, check_notebook

__all__ = [
    "FORMATS",
    "CellLines",
    "Checked",
    "cell_lines",
    "check_cells",
    "check_executed",
    "check_notebook",
    "chosen_rules",
    "render",
]
