#!/usr/bin/env bash
# Make the virtual environment. Debian and Ubuntu split `venv` off Python: install it when allowed, else say how.
set -euo pipefail
python=$1 venv=$2

if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
  version=$("$python" -c 'import sys; print(f"{sys.version_info[0]}.{sys.version_info[1]}")')
  install="apt-get install -y --no-install-recommends python$version-venv"
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get update -qq && $install
  else
    printf 'Python %s lacks its venv module, without which nothing can be installed apart from the system.\nRun: sudo %s\n' \
      "$version" "$install" >&2
    exit 1
  fi
fi
exec "$python" -m venv "$venv"
