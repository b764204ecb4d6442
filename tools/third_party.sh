#!/bin/sh
# SPDX-License-Identifier: MIT
#
# tools/third_party.sh zydis|zycore|lwip VERSION SHA256 DIR - downloads one third-party
# source with apt and unpacks it to DIR. A private source list beside DIR names
# Debian 12 and its sources, on the mirror that this machine uses; the machine's
# own apt configuration is read but never changed. Called by tools/third_party.mk.
set -eu

what=$1
version=$2
sha256=$3
dir=$4
override=$(echo "$what" | tr '[:lower:]' '[:upper:]')_DIR

die() {
    echo "nestling: error: $*; or give an unpacked copy: make $override=DIR" >&2
    exit 1
}

for tool in apt-get dpkg-deb sha256sum tar xz; do
    command -v "$tool" >/dev/null || die "cannot fetch $what $version: no $tool here"
done

mkdir -p "$(dirname "$dir")/apt/lists/partial"
apt_dir=$(cd "$(dirname "$dir")/apt" && pwd)
dir=$(dirname "$apt_dir")/$(basename "$dir")

private_apt_get() {
    # The sandbox user of apt cannot write into a build directory; as root it would only warn.
    apt-get -q -o APT::Sandbox::User="$(id -un)" -o Dir::Etc::SourceList="$apt_dir/sources.list" \
        -o Dir::Etc::SourceParts=/dev/null -o Dir::State::Lists="$apt_dir/lists" \
        -o Dir::Cache="$apt_dir" -o Dir::Cache::Archives="$apt_dir" "$@"
}

# All sources want the lists; one download serves them.
if [ ! -e "$apt_dir/updated" ]; then
    # shellcheck disable=SC2016 # apt fills these in
    mirror=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(COMPONENT)' \
        'Created-By: Packages' 'Origin: Debian' 2>/dev/null |
        sed -n 's/ bookworm main$//p' | head -n 1)
    keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    [ -e "$keyring" ] || die "$keyring is missing; type: apt-get install debian-archive-keyring"
    for type in deb deb-src; do
        echo "$type [signed-by=$keyring] ${mirror:-http://deb.debian.org/debian} bookworm main"
    done >"$apt_dir/sources.list"
    private_apt_get update || die "apt cannot read the source lists of Debian 12; check the network"
    touch "$apt_dir/updated"
fi

rm -rf "$dir.new"
mkdir -p "$dir.new"
cd "$dir.new"
case $what in
zydis | lwip)
    private_apt_get source --download-only --tar-only "$what" ||
        die "cannot download $what $version; check the network"
    tarball=$(echo "${what}_$version".orig.tar.*)
    [ -e "$tarball" ] || die "Debian has another $what than $version now: $(ls)"
    echo "$sha256  $tarball" | sha256sum --check --quiet ||
        die "$tarball is not the file that was pinned"
    tar --strip-components=1 -xf "$tarball"
    rm "$tarball"
    ;;
zycore)
    private_apt_get download libzycore-dev ||
        die "cannot download libzycore-dev $version; check the network"
    deb=$(echo libzycore-dev_"$version"-*.deb)
    [ -e "$deb" ] || die "Debian has another libzycore-dev than $version now: $(ls)"
    echo "$sha256  $deb" | sha256sum --check --quiet || die "$deb is not the file that was pinned"
    dpkg-deb -x "$deb" unpacked
    mv unpacked/usr/include include
    rm -r unpacked "$deb"
    ;;
esac
cd ..
rm -rf "$dir"
mv "$dir.new" "$dir"
