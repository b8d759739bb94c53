"""`python -m m3att`: the same command line as `m3att`."""

from __future__ import annotations

import sys

from m3att.app.cli import main

if __name__ == "__main__":
    sys.exit(main())
