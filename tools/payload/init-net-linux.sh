#!/bin/busybox sh
# SPDX-License-Identifier: MIT
#
# /init of the Linux that the network plane is measured against (tests/system/speed.py): serves a
# file of nestling.size= random bytes by HTTP at 10.0.2.15.
/bin/busybox --install -s /bin
export PATH=/bin

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmpfs /tmp

while read -r module; do
    insmod "/modules/$module"
done </modules/order

size=$(sed -n 's/.*nestling\.size=\([0-9]*\).*/\1/p' /proc/cmdline)
head -c "$size" /dev/urandom >/tmp/body
ip link set lo up
ip link set eth0 up
ip addr add 10.0.2.15/24 dev eth0
ip route add default via 10.0.2.2
httpd -f -p 80 -h /tmp
