"""How long a data set takes to open, cold and cached.

python benchmarks/opening.py ROOT [DATASET SPLIT_BY SPLIT] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from m3att.bench.open_cost import measure_opening


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", metavar="ROOT")
    parser.add_argument("dataset", metavar="DATASET", nargs="?", default="refcoco")
    parser.add_argument("split_by", metavar="SPLIT_BY", nargs="?", default="unc")
    parser.add_argument("split", metavar="SPLIT", nargs="?", default="train")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    found = json.dumps(measure_opening(given.root, given.dataset, given.split_by, given.split), indent=1)
    print(found)
    if given.json is not None:
        given.json.write_text(found + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
