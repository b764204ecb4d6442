#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""tools/bench_boot.py - `make bench-boot`: how long a Linux L2 takes to boot, by its own uptime.

The L2 runs under Debian's QEMU and KVM in L1; L1 runs on the bare CPU, under KVM, under Nestling.
Without icount, so only ratios of one run mean something. Writes build/bench/boot.tsv, which the
next `make bench` takes over. In the end prints what the boot under Nestling consists of.
"""
import os
import re
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
sys.path.insert(0, os.path.join(ROOT, "tests/bench"))
import boot_account  # noqa: E402
import measure  # noqa: E402

LIMIT = 1800
RUN = " bench.run="


def linux(initrd, run):
    """QEMU's options for Linux on the bare CPU."""
    return ["-m", "2G", "-kernel", measure.KERNEL, "-initrd", f"{measure.OUT}/{initrd}",
            "-append", measure.LINUX_OPTIONS + RUN + run]


def main():
    os.chdir(ROOT)
    nestling = measure.nestling_linux_iso("boot-nestling", "max", RUN + "boot",
                                          measure.OUT + "/l0.cpio.gz", "1G")
    engines = {"bare": linux("l0.cpio.gz", "boot"), "nestling": nestling,
               "kvm": linux("l0-boot.cpio.gz", "boot2")}
    lines = ["engine\tseconds"]
    for engine, arguments in engines.items():
        try:
            console = measure.qemu("boot-" + engine, "max", arguments, LIMIT, icount=False)
        except measure.Failed as error:
            sys.exit(f"nestling: error: {error}")
        uptime = re.search(r"UPTIME ([\d.]+)", console)
        if not uptime:
            sys.exit(f"nestling: error: {measure.OUT}/boot-{engine}-max.log: L2 did not boot")
        lines.append(f"{engine}\t{uptime.group(1)}")
        print(lines[-1], flush=True)
    with open(measure.OUT + "/boot.tsv", "w", encoding="ascii") as f:
        f.write("\n".join(lines) + "\n")
    try:
        shell = measure.nestling_linux_iso("account", "max", RUN + "shell", measure.OUT + "/l0.cpio.gz", "1G")
        boot_account.show(linux("l0.cpio.gz", "shell"), shell, LIMIT)
    except measure.Failed as error:
        sys.exit(f"nestling: error: {error}")


if __name__ == "__main__":
    main()
