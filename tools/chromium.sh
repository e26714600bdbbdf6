#!/bin/sh
# Puts Debian's Chromium on this machine, in which tests/test_report_browser.py opens the report. It does nothing where there
# is one, and says what to do where it may not install or there is no apt.
set -eu

for name in chromium chromium-browser google-chrome; do
    command -v "$name" >/dev/null 2>&1 && exit 0
done
if ! command -v apt-get >/dev/null 2>&1 || [ "$(id -u)" != 0 ]; then
    echo "chromium.sh: no Chromium on the PATH, and it cannot be installed here; as root on Debian: apt-get install chromium" >&2
    exit 1
fi
echo "installing Chromium ..."
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq >/dev/null
apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null
