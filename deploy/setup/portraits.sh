#!/usr/bin/env bash
# Fetch the public-domain portraits of the demo and the tests; they are never committed. Official portraits come
# from face-recognition's own source distribution, NASA's from scikit-image's sample data.
set -euo pipefail
python=$1 cache=$2
here=$(dirname "$0")

mkdir -p "$cache/distributions" "$cache/portraits"
"$python" -m pip --disable-pip-version-check download --quiet --no-deps --no-binary face-recognition \
  --no-build-isolation --require-hashes -r "$here/portraits.lock" -d "$cache/distributions"
tar -xzf "$cache"/distributions/face_recognition-*.tar.gz -C "$cache/portraits" --strip-components=3 \
  --wildcards '*/tests/test_images/*'
"$python" - "$cache"/distributions/scikit_image-*.whl "$cache/portraits/astronaut.png" <<'PYTHON'
import sys
import zipfile
from pathlib import Path

with zipfile.ZipFile(sys.argv[1]) as wheel:
    Path(sys.argv[2]).write_bytes(wheel.read("skimage/data/astronaut.png"))
PYTHON
