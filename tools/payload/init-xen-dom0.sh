#!/bin/busybox sh
# SPDX-License-Identifier: MIT
#
# /init of dom0 under Xen: starts Xen's daemons, then waits for somebody to log in
# on Xen's console; root has no password. /l2/l2.cfg describes a PVH domain.
/bin/busybox --install -s /bin
export PATH=/bin:/usr/lib/xen-4.17/bin

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts
mount -t devpts devpts /dev/pts
hostname dom0

while read -r module; do
    insmod "/modules/$module" || echo "dom0: cannot load $module"
done </modules/order
mount -t xenfs xenfs /proc/xen

xenstored
xen-init-dom0
xenconsoled

echo "root::0:0:root:/:/bin/sh" >/etc/passwd
echo "export PATH=$PATH PS1='dom0 # '" >/etc/profile
echo "dom0: Linux is up; log in as root; xl create -c /l2/l2.cfg starts an L2, poweroff -f ends"
while true; do
    setsid getty -L 115200 hvc0 vt100
done
