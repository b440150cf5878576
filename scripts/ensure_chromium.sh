#!/bin/sh
# The browser tests drive Debian's Chromium; install it where it is missing and we may.
set -eu
if command -v chromium >/dev/null 2>&1; then exit 0; fi
if [ "$(id -u)" = 0 ]; then sudo=""; elif command -v sudo >/dev/null 2>&1; then sudo="sudo"; else
    echo "chromium is missing and this user may not install it: apt-get install chromium" >&2
    exit 2
fi
$sudo apt-get update -q
DEBIAN_FRONTEND=noninteractive $sudo apt-get install -q -y --no-install-recommends chromium
