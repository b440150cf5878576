"""Deployments: a model version served on 127.0.0.1 by a process of its own.

``deploy`` pins a copy of the version's files, starts ``python -m jupyter_mlops.serving.child`` and
returns when that answers MLflow's scoring protocol; ``supervise`` is the agent's part.  Importing
this package imports neither NumPy nor pandas nor anything behind a port.
"""

from .deployment import (
    Deployment,
    deployment_token,
    example_request,
    get_deployment,
    list_deployments,
)
from .lifecycle import deploy, deploy_folder, remove_deployment, stop_deployment
from .supervise import supervise, wanted_deployments

__all__ = [
    "Deployment",
    "deploy",
    "deploy_folder",
    "deployment_token",
    "example_request",
    "get_deployment",
    "list_deployments",
    "remove_deployment",
    "stop_deployment",
    "supervise",
    "wanted_deployments",
]
