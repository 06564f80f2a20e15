#!/usr/bin/env bash
# Print what a lock file says of one package, with its hashes: locked.sh NAME LOCK
set -euo pipefail
awk -v name="$1==" '/^[a-z]/ { wanted = index($0, name) == 1 } wanted' "$2"
