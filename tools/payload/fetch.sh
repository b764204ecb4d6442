#!/bin/sh
# SPDX-License-Identifier: MIT
#
# tools/payload/fetch.sh DEBS ROOT PACKAGE... - downloads Debian packages and
# all they depend on into DEBS, and unpacks them to ROOT. Nothing is installed,
# so no package script runs and the machine stays as it was. What is in DEBS
# already is not downloaded again. Called by tools/payload.mk.
set -eu

debs=$1
root=$2
shift 2

die() {
    echo "nestling: error: $*" >&2
    exit 1
}

closure() {
    apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts \
        --no-breaks --no-replaces --no-enhances "$@" |
        grep -v '^[ <]' | sort -u
}

# An image may come without package lists; only root can fetch them.
if ! apt-cache show "$@" >/dev/null 2>&1; then
    [ "$(id -u)" = 0 ] || die "apt knows no package lists; type: sudo apt-get update"
    apt-get -q -o DPkg::Lock::Timeout=300 update ||
        die "apt-get update failed; check network and /etc/apt/sources.list, then run make again"
fi

mkdir -p "$debs"
packages=$(closure "$@")
[ -n "$packages" ] || die "apt-cache finds no packages for: $*; type: sudo apt-get update"

echo "Downloading $(echo "$packages" | wc -l) packages for guests into $debs (130 MB the first time)"
# The sandbox user of apt cannot write into a build directory; as root it would only warn.
# shellcheck disable=SC2086 # word splitting is meant
(cd "$debs" && apt-get -q -o APT::Sandbox::User=root download $packages) ||
    die "download failed; check the network, type: sudo apt-get update, then run make again"

rm -rf "$root"
mkdir -p "$root"
echo "Unpacking into $root"
for package in $packages; do
    for deb in "$debs/${package}"_*.deb; do
        [ -e "$deb" ] || continue # a virtual package has no file of its own
        newest=$deb
    done
    [ -z "${newest:-}" ] || dpkg-deb -x "$newest" "$root" ||
        die "cannot unpack $newest; remove it and run make again"
    newest=
done
