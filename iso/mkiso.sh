#!/bin/bash
# SPDX-License-Identifier: MIT
#
# iso/mkiso.sh - makes a hybrid ISO that boots Nestling through GRUB, on BIOS and on UEFI, from a
# CD or from a USB stick.
#   iso/mkiso.sh -o out.iso -k build/nestling.elf [-c "Nestling's options"] [name=path ...]
# Each name=path becomes a multiboot2 module: the file at path, known to Nestling as name. With -1 the
# kernel is another one, started by Multiboot 1 (what test kernels are), and has no modules.
set -euo pipefail

usage() {
    sed -n '6s/^# *//p' "$0" >&2
    exit 2
}

fail() {
    echo "mkiso.sh: $*" >&2
    exit 1
}

out= kernel= options= multiboot=multiboot2
while getopts 1o:k:c: flag; do
    case $flag in
    1) multiboot=multiboot ;;
    o) out=$OPTARG ;;
    k) kernel=$OPTARG ;;
    c) options=$OPTARG ;;
    *) usage ;;
    esac
done
shift $((OPTIND - 1))
[[ $out && $kernel ]] || usage

for tool in grub-mkrescue:grub-common xorriso:xorriso mformat:mtools; do
    [[ $(type -P "${tool%:*}") ]] || fail "needs ${tool%:*}; apt install ${tool#*:}"
done
for platform in i386-pc:grub-pc-bin x86_64-efi:grub-efi-amd64-bin; do
    [[ -d /usr/lib/grub/${platform%:*} ]] || fail "needs GRUB for ${platform%:*}; apt install ${platform#*:}"
done
[[ -f $kernel ]] || fail "no kernel at $kernel; run make"

tree=$(mktemp -d)
trap 'rm -rf "$tree" "$tree.log"' EXIT
mkdir -p "$tree/boot/grub" "$tree/boot/modules"
cp "$kernel" "$tree/boot/nestling.elf"

# GRUB's messages go to the serial port as well. On UEFI Nestling draws on the framebuffer; on BIOS
# text mode is faster, and must be asked for after multiboot2, which sets a mode by itself.
{
    echo "set timeout=0"
    echo "serial --unit=0 --speed=115200"
    echo "terminal_output serial console"
    echo "$multiboot /boot/nestling.elf $options"
    echo 'if [ "$grub_platform" = efi ]; then'
    echo "    insmod all_video"
    echo "else"
    echo "    set gfxpayload=text"
    echo "fi"
} >"$tree/boot/grub/grub.cfg"

number=0
for module in "$@"; do
    name=${module%%=*} path=${module#*=}
    [[ $module == *=* && $name && $name != *[[:space:]]* ]] || fail "not name=path: $module"
    [[ -f $path ]] || fail "no file at $path for module $name"
    number=$((number + 1))
    cp "$path" "$tree/boot/modules/$number"
    echo "module2 /boot/modules/$number $name" >>"$tree/boot/grub/grub.cfg"
done
echo "boot" >>"$tree/boot/grub/grub.cfg"

# Only what grub.cfg needs: a complete GRUB would be most of the ISO.
modules="$multiboot normal serial terminal iso9660 fat all_video test echo boot part_msdos part_gpt
    part_acorn part_amiga part_apple part_bsd part_dfly part_dvh part_plan part_sun part_sunpc"
mkdir -p "$(dirname "$out")"
log=$tree.log # beside the tree: what is packed must not change meanwhile
grub-mkrescue --install-modules="$modules" --locales= --fonts= --themes= \
    -o "$out.part" "$tree/boot/.." >"$log" 2>&1 || { cat "$log" >&2; fail "grub-mkrescue failed"; }
mv "$out.part" "$out"
