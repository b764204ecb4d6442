# SPDX-License-Identifier: MIT
"""tests/bench/transitions.py - how often the CPU leaves for L0, and why.

Two sources: the plugin of tools/exitcost.sh sees L0's VMRUN within one operation of the bare
kernel; the monitor's counters, read before and after many exits of an L2 under Linux's KVM, say
what one of them costs by cause.
"""
import collections
import re
import subprocess

import pexpect

import measure

ROUNDS = 4000
PROMPT = "bench # "
MONITOR = "nestling> "
TO_MONITOR, TO_GUEST = "\x1dm", "\x1d1"


def vmrun_address():
    """Where L0's only VMRUN is: three bytes before what follows it."""
    names = subprocess.run(["nm", "build/nestling.elf"], check=True, capture_output=True,
                           text=True).stdout
    return int(re.search(r"^(\w+) \w svm_vmrun_return$", names, re.MULTILINE).group(1), 16) - 3


def of_round_trip(cpu):
    """L0's VMRUNs for one VMRUN of L1 and for one #VMEXIT to it."""
    guests = "guest bench\n  memory 128M\n  image bench_ops.elf\n  cmdline only=vmrun\n"
    listed = f"{measure.OUT}/round-trip-{cpu}.list"
    plugin = f"{measure.OUT}/exitcost.so,elf=build/nestling.elf,out={listed},round=21"
    boot = measure.iso("round-trip", cpu, guests, **{"bench_ops.elf": measure.OPS})
    measure.measured("round-trip", cpu, ["-m", "512M", "-plugin", plugin, *boot], measure.LIMIT,
                     "vmexit")
    vmrun, counts = f"{vmrun_address():x}", collections.Counter()
    with open(listed, encoding="ascii") as f:
        for line in f:
            mark, address = line.split()
            counts[mark] += address == vmrun
    return counts["1"], counts["2"]


def read_counters(child):
    """(cause, level) -> count, from the monitor."""
    child.send(TO_MONITOR)
    child.expect_exact(MONITOR)
    child.send("exits\r")
    child.expect_exact(MONITOR)
    found = re.findall(r"^  (\S+) +level 1: (\d+) +level 2: (\d+)", child.before.replace("\r", ""),
                       re.MULTILINE)
    child.send(TO_GUEST)
    return {(cause, level): int(count) for cause, *counts in found
            for level, count in zip((1, 2), counts)}


def of_l2_exit(cpu, operation):
    """(cause, level) -> transitions for one L2 exit that Linux's KVM handles in L1."""
    boot = measure.nestling_linux_iso("transitions-" + operation, cpu, "bench.run=shell")
    command = ["-nographic", "-no-reboot", "-net", "none", "-smp", "1", "-cpu",
               measure.CPUS[cpu], "-icount", "shift=0,sleep=off", *boot]
    with open(f"{measure.OUT}/transitions-{operation}-{cpu}.log", "w", encoding="latin-1") as log:
        child = pexpect.spawn("qemu-system-x86_64", command, encoding="latin-1", timeout=measure.LIMIT,
                              logfile=log, echo=False)
        try:
            child.expect_exact(PROMPT)
            before = read_counters(child)
            child.send(f"l2-bench {operation} {ROUNDS}\r")
            child.expect(rf"BENCH l2-{operation} min=\d+ median=\d+")
            after = read_counters(child)
        except pexpect.ExceptionPexpect as error:
            raise measure.Failed(f"{log.name}: {str(error).splitlines()[0]}") from error
        finally:
            child.close(force=True)
    each = {key: (after[key] - before.get(key, 0)) / ROUNDS for key in after}
    return {key: count for key, count in each.items() if count >= 0.05}
