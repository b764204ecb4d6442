#!/bin/busybox sh
# SPDX-License-Identifier: MIT
#
# run-l2-linux [QEMU OPTION...] - in L1: boots the same Debian kernel as L2 by
# Debian's QEMU on /dev/kvm. The L2's console is this terminal.
exec qemu-system-x86_64 -accel kvm -cpu host -m 256 -nographic -vga none -net none \
    -no-reboot -kernel /l2/vmlinuz -initrd /l2/initrd \
    -append "console=ttyS0 panic=-1" "$@"
