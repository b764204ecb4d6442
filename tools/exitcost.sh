#!/bin/bash
# SPDX-License-Identifier: MIT
#
# tools/exitcost.sh [-l | -a] [-c CPU] OPERATION - in which functions of build/nestling.elf the instructions of one
# operation of tests/bench/bench_ops.c are spent, in one round; -l: in which source lines; -a: every instruction in
# the order of execution. CPU: QEMU's, default max,+svm. OPERATION: a BENCH name (cpuid port-pic ipi vmrun vmexit
# vmrun-refused vmload vmsave stgi clgi npf npf-sequential ...). Listed by tools/exitcost_plugin.c.
set -euo pipefail
cd "$(dirname "$0")/.."

form= cpu=max,+svm
while getopts alc: flag; do
    case $flag in
    a) form=--all ;;
    l) form=--lines ;;
    c) cpu=$OPTARG ;;
    *) exit 2 ;;
    esac
done
shift $((OPTIND - 1))
[[ $# == 1 ]] || { sed -n '4,8s/^# *//p' "$0" >&2; exit 2; }

# Some operations share a scenario: #VMEXIT has the second mark, the others take turns.
mark=1 round=21 scenario=$1
case $1 in
vmexit*) mark=2 scenario=vmrun${1#vmexit} ;;
switch-out) mark=2 scenario=switch-in ;;
vmsave) scenario=vmload ;;
clgi) scenario=stgi ;;
vmload | stgi) round=22 ;;
npf-sequential*) round=3 ;;
esac

make -s build/nestling.elf build/bench/bench_ops.elf build/bench/exitcost.so >&2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
printf 'guest bench\n  memory 128M\n  image bench_ops.elf\n  cmdline only=%s\n' "$scenario" >"$work/cfg"
iso/mkiso.sh -o "$work/iso" -k build/nestling.elf nestling.cfg="$work/cfg" bench_ops.elf=build/bench/bench_ops.elf
timeout 300 qemu-system-x86_64 -nographic -no-reboot -net none -cpu "$cpu" -smp 1 -m 512M \
    -icount shift=0,sleep=off -plugin build/bench/exitcost.so,elf=build/nestling.elf,out="$work/list",round=$round \
    -boot d -cdrom "$work/iso" </dev/null >"$work/console"
grep -a '^BENCH' "$work/console" || { cat "$work/console" >&2; exit 1; }
/usr/bin/python3 -B tools/exitcost.py $form --mark $mark build/nestling.elf "$work/list"
