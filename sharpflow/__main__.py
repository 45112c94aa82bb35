"""``python -m sharpflow`` is ``sharpflow``."""

import sys

from sharpflow.cli import main

if __name__ == "__main__":
    sys.exit(main())
