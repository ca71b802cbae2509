"""Entry point of ``python -m skemo``."""

import sys

from skemo.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
