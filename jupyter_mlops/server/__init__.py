"""The Jupyter Server extension: a REST API over the services, and events that say what changed.

The server process reads SQLite and the journal, and never imports mlflow: what needs it is asked of
the project's agent, or of a child process.
"""
