#!/usr/bin/env bash
# The tests use real parts: brokers, databases, a browser. Install what is missing when allowed; else name it once.
set -euo pipefail

declare -A part=(
  [mosquitto]=mosquitto [chromium]=chromium [ffmpeg]=ffmpeg [java]=default-jre-headless
  [ip]=iproute2 [espeak-ng]=espeak-ng [strace]=strace
)
missing=()
for program in "${!part[@]}"; do
  PATH="$PATH:/usr/sbin:/sbin" command -v "$program" >/dev/null || missing+=("${part[$program]}")
done
compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || missing+=(postgresql)
compgen -G '/usr/lib/*/girepository-1.0/GstRtspServer-1.0.typelib' >/dev/null && [ -e /usr/lib/python3/dist-packages/gi ] \
  || missing+=(python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-{base,good,bad})
[ -e /usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc ] || missing+=(fonts-noto-cjk)
# browser tests take half the time in Chromium without a window, where the distribution has it; it is no missing part
quicker=()
command -v chromium-headless-shell >/dev/null || quicker=(chromium-headless-shell)
[ ${#missing[@]} = 0 ] && [ ${#quicker[@]} = 0 ] && exit 0

command=(apt-get install -y --no-install-recommends "${missing[@]}")
as_root=()
[ "$(id -u)" = 0 ] || as_root=(sudo -n)
if command -v apt-get >/dev/null && "${as_root[@]}" true 2>/dev/null; then
  echo "Installing the real parts of the tests: ${missing[*]} ${quicker[*]} ..."
  export DEBIAN_FRONTEND=noninteractive
  if "${as_root[@]}" apt-get update -qq; then
    "${as_root[@]}" "${command[@]}" "${quicker[@]}" >/dev/null 2>&1 && exit 0
    "${as_root[@]}" "${command[@]}" >/dev/null && exit 0
  fi
fi
[ ${#missing[@]} = 0 ] && exit 0
echo "The tests miss real parts: ${missing[*]}." >&2
echo "Tests that need them are skipped here and fail in CI. To install: sudo ${command[*]}" >&2
