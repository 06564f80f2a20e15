#!/usr/bin/env bash
# Renew requirements-dev.lock (everything) and requirements.lock (its part that runs the product), hashed, for
# every supported Python, without any registry's address.
set -euo pipefail
uv=$1
compile=("$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url
  --no-emit-find-links --no-annotate --no-header pyproject.toml)
# The override in pyproject.toml leaves dlib in the list under a condition that never holds; take it out.
without_dlib() { sed -i '/^dlib==/,/^[a-z]/{/^dlib==/d;/^ /d}' "$1"; }
"${compile[@]}" --extra dev -o requirements-dev.lock
without_dlib requirements-dev.lock
grep -E '^[a-z0-9]' requirements-dev.lock | sed 's/ \\$//' > build/constraints.txt
"${compile[@]}" --extra demo -c build/constraints.txt -o requirements.lock
without_dlib requirements.lock
