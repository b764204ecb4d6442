# SPDX-License-Identifier: MIT
"""tests/bench/boot_account.py - what the boot of a Linux L2 consists of, from its kernel's first
message to its init: the exits to L0 by cause, from the monitor, the CPU seconds of the machine's
QEMU, under Nestling and on the bare CPU, and the instructions of L0 by function, from a plugin that
counts each. Without icount.
"""
import bisect
import collections
import os
import signal
import subprocess

import pexpect

import measure
import transitions

GUEST = ("qemu-system-x86_64 -accel kvm -cpu host,+svm -nographic -vga none -net none -no-reboot "
         "-m 256 -kernel /guest/vmlinuz -initrd /guest/initrd -append "
         "'console=ttyS0 mitigations=off panic=-1 bench.run=uptime' </dev/null")
FIRST, LAST = "Linux version", "UPTIME "


def cpu_seconds(child):
    """That QEMU has used so far."""
    with open(f"/proc/{child.pid}/stat", encoding="ascii") as f:
        fields = f.read().split()
    return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")


def of_boot(name, arguments, counted, limit):
    """CPU seconds, and (cause, level) -> exits if there is a monitor to ask."""
    command = ["-nographic", "-no-reboot", "-nic", "none", "-smp", "1", "-cpu", measure.CPUS["max"],
               *arguments]
    with open(f"{measure.OUT}/{name}.log", "w", encoding="latin-1") as log:
        child = pexpect.spawn("qemu-system-x86_64", command, encoding="latin-1", timeout=limit,
                              logfile=log, echo=False)
        try:
            child.expect_exact(transitions.PROMPT)
            child.send(GUEST + "\r")
            child.expect_exact(FIRST)
            before = transitions.read_counters(child) if counted else {}
            start = cpu_seconds(child)
            child.expect_exact(LAST)
            seconds = cpu_seconds(child) - start
            after = transitions.read_counters(child) if counted else {}
        except pexpect.ExceptionPexpect as error:
            raise measure.Failed(f"{log.name}: {str(error).splitlines()[0]}") from error
        finally:
            child.close(force=True)
    return seconds, {key: after[key] - before.get(key, 0) for key in after}


def functions():
    """Start addresses of build/nestling.elf's functions, and their names."""
    lines = subprocess.run(["nm", "-n", "build/nestling.elf"], check=True, capture_output=True,
                           text=True).stdout.splitlines()
    found = [line.split() for line in lines]
    code = [(int(entry[0], 16), entry[2]) for entry in found if entry[1] in "tT"]
    return [start for start, _ in code], [name for _, name in code]


def instructions_until(text, nestling, limit):
    """Function of L0 -> its instructions from power on until L2's console says `text`."""
    listed = measure.OUT + "/account.list"
    plugin = f"{measure.OUT}/exitcost.so,elf=build/nestling.elf,out={listed}"
    command = ["-nographic", "-no-reboot", "-nic", "none", "-smp", "1", "-cpu", measure.CPUS["max"],
               "-plugin", plugin, *nestling]
    with open(f"{measure.OUT}/account-plugin.log", "w", encoding="latin-1") as log:
        child = pexpect.spawn("qemu-system-x86_64", command, encoding="latin-1", timeout=limit,
                              logfile=log, echo=False)
        try:
            child.expect_exact(transitions.PROMPT)
            child.send(GUEST + "\r")
            child.expect_exact(text)
            child.kill(signal.SIGTERM)
            child.expect(pexpect.EOF)
        except pexpect.ExceptionPexpect as error:
            raise measure.Failed(f"{log.name}: {str(error).splitlines()[0]}") from error
        finally:
            child.close(force=True)
    starts, names = functions()
    counts = collections.Counter()
    with open(listed, encoding="ascii") as f:
        for line in f:
            count, address = line.split()
            counts[names[bisect.bisect(starts, int(address, 16)) - 1]] += int(count)
    return counts


def show_instructions(nestling, limit):
    """Prints L0's instructions between the two messages, by function: the difference of two runs."""
    before = instructions_until(FIRST, nestling, limit)
    counts = instructions_until(LAST, nestling, limit)
    counts.subtract(before)
    total = sum(counts.values())
    print(f"instructions of L0 in that time: {total}")
    for name, count in counts.most_common():
        if count * 100 >= total:
            print(f"  {name}\t{count}")


def show(bare, nestling, limit):
    """Prints the account; `bare` and `nestling` are QEMU's options for Linux with a shell."""
    bare_seconds, _ = of_boot("account-bare", bare, False, limit)
    seconds, exits = of_boot("account-nestling", nestling, True, limit)
    total = sum(exits.values())
    print(f"CPU seconds of QEMU from L2's first message to its init: bare {bare_seconds:.1f}, "
          f"nestling {seconds:.1f}; {total} exits, {(seconds - bare_seconds) / total * 1e6:.1f} "
          "microseconds more for each")
    for (cause, level), count in sorted(exits.items(), key=lambda entry: -entry[1]):
        if count * 1000 >= total:
            print(f"  {cause} of L{level}\t{count}")
    show_instructions(nestling, limit)
