"""Entry of ``python -m skemo``."""

import sys

from skemo.cli import main

if __name__ == "__main__":
    sys.exit(main())
