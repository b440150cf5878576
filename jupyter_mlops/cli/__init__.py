"""The command line: each verb is a thin face over one service function."""
