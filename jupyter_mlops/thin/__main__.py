"""``python -m jupyter_mlops.thin`` is ``jupyter mlops``."""

from .client import main

if __name__ == "__main__":
    main()
