"""``python -m jupyter_mlops`` is ``jupyter mlops``: for interpreters whose scripts are not on PATH."""

from .cli.main import main

if __name__ == "__main__":
    main()
