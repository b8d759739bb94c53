"""How long a data set takes to open, cold and cached: python benchmarks/opening.py ROOT [DATASET SPLIT_BY SPLIT]."""

from __future__ import annotations

import json
import sys

from m3att.bench.open_cost import measure_opening

if __name__ == "__main__":
    root, dataset, split_by, split = [*sys.argv[1:], *("refcoco", "unc", "train")[len(sys.argv) - 2 :]]
    print(json.dumps(measure_opening(root, dataset, split_by, split), indent=1))
