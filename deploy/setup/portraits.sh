#!/usr/bin/env bash
# Fetch the public-domain portraits in face-recognition's own source distribution; they are never committed.
set -euo pipefail
python=$1 cache=$2
here=$(dirname "$0")

mkdir -p "$cache/sdist" "$cache/portraits"
# The archive is read, not built: no dependency of it is resolved and nothing of it is run but its metadata.
"$python" -m pip --disable-pip-version-check download --quiet --no-deps --no-binary :all: --no-build-isolation \
  --require-hashes -r "$here/portraits.lock" -d "$cache/sdist"
tar -xzf "$cache"/sdist/face_recognition-1.3.0.tar.gz -C "$cache/portraits" --strip-components=3 \
  --wildcards '*/tests/test_images/*'
