#!/usr/bin/env bash
# Render the kiosk's spoken prompts where the synthesiser is there. Without it the kiosk works silently: never fail.
set -euo pipefail
renzheng=$1

if PATH="$PATH:/usr/sbin:/sbin" command -v espeak-ng >/dev/null; then
  "$renzheng" edge voices render || echo 'The prompts were not rendered: the kiosk will be silent.' >&2
else
  echo 'No espeak-ng: the kiosk will be silent. For spoken prompts: sudo apt-get install espeak-ng; renzheng edge voices render' >&2
fi
