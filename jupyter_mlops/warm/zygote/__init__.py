"""The zygote: a process that has imported what kernels import, and forks into one on request.

These modules use the standard library only, and run under any Python from 3.9: the interpreter of
a kernel may not have this package.  They are run by path (``python .../zygote``), and name
themselves ``_mlops_zygote`` there.
"""
