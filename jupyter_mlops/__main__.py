"""``python -m jupyter_mlops`` is ``jupyter mlops``, also where its script is not on PATH."""

from .cli.main import main

if __name__ == "__main__":
    main()
