#!/bin/busybox sh
# SPDX-License-Identifier: MIT
#
# /init of the Linux L2: a shell; poweroff returns to L1.
/bin/busybox --install -s /bin
export PATH=/bin HOME=/ PS1='L2 # '

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
hostname l2

echo "L2: Linux is up; poweroff returns to L1"
setsid cttyhack sh
poweroff -f
