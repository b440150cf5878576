"""Reports of runs for CI: JUnit XML, annotations, job summary, pull-request comment, one page."""

from .annotations import Problem, code_quality, github_annotations, problems
from .building import build_report, cleaned, proof_spreads, repeat_spreads
from .comparing import (
    CodeChange,
    DataChange,
    MetricChange,
    code_changes,
    data_changes,
    metric_changes,
    tolerance,
)
from .executed import read_executed
from .junit import junit_xml
from .markdown import Beside, comment, job_summary, marker
from .page import data_address, page
from .report import (
    CellReport,
    DataReport,
    ImageReport,
    RunReport,
    Spread,
    StepReport,
    read_reports,
    write_reports,
)

__all__ = [
    "Beside",
    "CellReport",
    "CodeChange",
    "DataChange",
    "DataReport",
    "ImageReport",
    "MetricChange",
    "Problem",
    "RunReport",
    "Spread",
    "StepReport",
    "build_report",
    "cleaned",
    "code_changes",
    "code_quality",
    "comment",
    "data_address",
    "data_changes",
    "github_annotations",
    "job_summary",
    "junit_xml",
    "marker",
    "metric_changes",
    "page",
    "problems",
    "proof_spreads",
    "read_executed",
    "read_reports",
    "repeat_spreads",
    "tolerance",
    "write_reports",
]
