"""The thin client: ``jupyter mlops run`` handed to a process that has imported everything.

Standard library only, until it turns out that there is no such process.
"""
