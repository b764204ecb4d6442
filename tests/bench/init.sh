#!/bin/busybox sh
# SPDX-License-Identifier: MIT
#
# /init of the Linux that measures, for L0, for L1 under KVM and for L1 under Nestling. The clock
# comes first, what the boot cost, and last. bench.run=WHAT on the kernel command line:
#   ops       the exits of an L2; the default          shell
#   kvm       that, then as L0 the same for the bare kernel and for Linux as L1
#   uptime    seconds since the start of the kernel
#   boot      runs a guest that does "uptime"          boot2  runs one that does "boot"
export PATH=/bin:/usr/bin HOME=/ PS1='bench # '
/bin/l2-bench clock boot
/bin/busybox --install -s /bin

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
while read -r module; do
    insmod "/modules/$module" $(case $module in kvm-amd*) echo nested=1 ;; esac)
done </modules/order

guest() {
    qemu-system-x86_64 -accel kvm -cpu host,+svm -nographic -vga none -net none -no-reboot "$@"
}

options="console=ttyS0 mitigations=off panic=-1 bench.run"
run=$(sed -n 's/.*bench\.run=\([^ ]*\).*/\1/p' /proc/cmdline)
case $run in
shell)
    setsid cttyhack sh
    ;;
kvm)
    l2-bench
    echo "SECTION kvm"
    guest -m 128 -kernel /guest/bench_ops.elf </dev/null
    l2-bench clock qemu-start
    guest -m 512 -kernel /guest/vmlinuz -initrd /guest/initrd -append "$options=ops" </dev/null
    ;;
uptime)
    read -r seconds _ </proc/uptime
    echo "UPTIME $seconds"
    ;;
boot)
    guest -m 256 -kernel /guest/vmlinuz -initrd /guest/initrd -append "$options=uptime" </dev/null
    ;;
boot2)
    guest -m 1024 -kernel /guest/vmlinuz -initrd /guest/initrd-boot -append "$options=boot" </dev/null
    ;;
*)
    l2-bench
    ;;
esac
l2-bench clock end
poweroff -f
