#!/bin/busybox sh
# SPDX-License-Identifier: MIT
#
# /init of dom0 under Xen: starts Xen's daemons, then a PVH domain from
# /l2/l2.cfg with its console here, then gives a shell.
/bin/busybox --install -s /bin
export PATH=/bin:/usr/lib/xen-4.17/bin HOME=/ PS1='dom0 # '

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

echo "dom0: Linux is up"
xenstored
xen-init-dom0
xenconsoled
xl create -c /l2/l2.cfg

echo "dom0: shell; xl create -c /l2/l2.cfg starts the L2 again; poweroff ends"
setsid cttyhack sh
poweroff -f
