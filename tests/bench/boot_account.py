# SPDX-License-Identifier: MIT
"""tests/bench/boot_account.py - what the boot of a Linux L2 consists of, from its kernel's first
message to its init: the exits to L0 by cause, from the monitor, and the CPU seconds of the machine's
QEMU, under Nestling and on the bare CPU. Without icount.
"""
import os

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
