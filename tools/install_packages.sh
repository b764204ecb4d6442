#!/bin/sh
# SPDX-License-Identifier: MIT
#
# tools/install_packages.sh PACKAGE... - installs the named Debian packages
# that are missing; silent when none is. Needs only dpkg and apt; without root
# it changes nothing and says what to type. Called by tools/packages.mk.
set -eu

die() {
    echo "nestling: error: $*" >&2
    exit 1
}

is_installed() {
    state=$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) || return 1
    [ "$state" = installed ]
}

command -v dpkg-query >/dev/null && command -v apt-get >/dev/null ||
    die "this is no Debian system; install by hand what provides: $*"

missing=
for package in "$@"; do
    is_installed "$package" || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

command="apt-get install --no-install-recommends$missing"
[ "$(id -u)" = 0 ] ||
    die "packages are missing; type: sudo apt-get update && sudo $command"

# A machine that runs unattended upgrades holds the lock for a while.
apt="apt-get -q -y -o DPkg::Lock::Timeout=300"
echo "Installing:$missing"
$apt update ||
    die "apt-get update failed; check network and /etc/apt/sources.list, then run make again"
# shellcheck disable=SC2086 # word splitting is meant
DEBIAN_FRONTEND=noninteractive $apt install --no-install-recommends $missing ||
    die "cannot install; see above what apt says about:$missing"
