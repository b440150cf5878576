"""The runner: a process that has imported what ``run`` needs, and forks into it on request.

The agent starts it (``python -P -m jupyter_mlops.cli.runner JSON``); ``thin`` asks it.  It imports
and calls nothing: no user code, no MLflow, no thread, no ZeroMQ context, no event loop.
"""
