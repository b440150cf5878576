"""Widgets for front ends that do not load our JupyterLab extension (VS Code)."""
