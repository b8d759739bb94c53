#!/bin/sh
# Expected: a WebDataset tar of two photos and their two masks, named as Roboflow names them, gives two samples.
# Seen (webdataset 1.0.2): one. The key of a file ends at the FIRST dot of its name, and Roboflow puts ".rf." and a number
# into every name: all augmented versions of one photo share the key and are joined. There is no "jpg" entry, so
# to_tuple("jpg", "png") finds nothing; a default or a filter for missing entries drops the lot silently.
# Where: webdataset/tariterators.py, base_plus_ext; the file naming is documented, the join is what surprises.
# For masks: two different photos and their masks end in one sample. Replace the dots before packing
# (name.replace(".rf.", "_rf_")); the same holds for names such as "scene.v2.jpg".
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check \
    webdataset==1.0.2 >"$work/pip.log" 2>&1 ||
    { tail -5 "$work/pip.log"; exit 1; }
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import io
import sys
import tarfile
from importlib.metadata import version

import webdataset


def samples(names):
    """The samples (without the reader's own entries) that WebDataset makes of a tar with files of these names."""
    with tarfile.open("shard.tar", "w") as tar:
        for name in names:
            entry = tarfile.TarInfo(name)
            entry.size = len(name)
            tar.addfile(entry, io.BytesIO(name.encode()))
    found = webdataset.WebDataset("shard.tar", shardshuffle=False)
    return [
        {key: value for key, value in sample.items() if key == "__key__" or not key.startswith("__")}
        for sample in found
    ]


stems = ["park_jpg.rf.3f9a1c", "park_jpg.rf.b70e44"]  # two augmented versions of park.jpg
names = [f"{stem}.{end}" for stem in stems for end in ("jpg", "png")]
dotted, plain = samples(names), samples([name.replace(".rf.", "_rf_") for name in names])
print("webdataset", version("webdataset"))
print("files:", names)
print(f"samples: {len(dotted)}", *dotted, sep="\n    ")
print(f"samples without the dots: {len(plain)}", *plain, sep="\n    ")
sys.exit(0 if len(dotted) == 1 and "jpg" not in dotted[0] and len(plain) == 2 else "the behaviour has changed")
PYTHON
