"""``python -m jupyter_mlops`` is ``jupyter mlops``, also where its script is not on PATH."""

from .thin.client import main

if __name__ == "__main__":
    main()
