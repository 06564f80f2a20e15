#!/usr/bin/env bash
# Write the bills of materials (CycloneDX 1.6, JSON) of what the lock files name: renzheng.cdx.json of what runs,
# renzheng-dev.cdx.json of what tests it as well. The same files give the same bytes. They are held against the
# format's schema unless a third argument says --no-validate.
set -euo pipefail
tool=$1 out=$2 validate=${3:---validate}
mkdir -p "$out"
unset SOURCE_DATE_EPOCH PIP_INDEX_URL PIP_EXTRA_INDEX_URL
write() {
  "$tool" requirements --output-reproducible --short-PURLs --spec-version 1.6 --output-format JSON "$validate" \
    --mc-type application --pyproject pyproject.toml --output-file "$out/$2" "$1" 2> "$out/.said" || {
    cat "$out/.said" >&2
    exit 1
  }
  rm -f "$out/.said"
}
write requirements.lock renzheng.cdx.json
write requirements-dev.lock renzheng-dev.cdx.json
