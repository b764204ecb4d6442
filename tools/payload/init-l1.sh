#!/bin/busybox sh
# SPDX-License-Identifier: MIT
#
# /init of the L1 Linux: loads KVM, runs the small L2, then gives a shell.
# nestling.run=WHAT on the kernel command line runs WHAT first; with
# nestling.run=poweroff there is no shell.
/bin/busybox --install -s /bin
export PATH=/bin:/usr/bin HOME=/ PS1='L1 # '

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
ip link set lo up 2>/dev/null
hostname l1

while read -r module; do
    insmod "/modules/$module" || echo "L1: cannot load $module"
done </modules/order

if [ -c /dev/kvm ]; then
    l2-hello || echo "L1: the L2 failed"
else
    echo "L1: no /dev/kvm; kvm_amd did not load, so no L2 can run"
fi

run=$(sed -n 's/.*nestling\.run=\([^ ]*\).*/\1/p' /proc/cmdline)
[ -z "$run" ] || $run

if [ "$run" != poweroff ]; then
    echo "L1: shell; poweroff ends"
    setsid cttyhack sh
fi
poweroff -f
