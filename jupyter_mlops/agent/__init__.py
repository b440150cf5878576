"""The agent: one process a project that delivers runs, fires schedules and keeps deployments up.

It is a supervisor.  It imports neither mlflow nor anybody's code; what does is a child process,
so that a crash, a leak or a hang there ends a child and nothing else.
"""

# What a worker writes before it begins with a request: one line of the pipe to its agent.
BEGUN = b'{"begun": true}\n'
