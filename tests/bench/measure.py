# SPDX-License-Identifier: MIT
"""tests/bench/measure.py - one benchmark run: starts QEMU, returns what its guests measured.

Three engines: the CPU that QEMU emulates ("bare"), Debian's KVM on it ("kvm"), Nestling on it
("nestling"). All with one CPU and one tick of the TSC per instruction, so that a run repeats to
the instruction. Results are lists of (operation, least, median), in the order of printing.
"""
import os
import re
import subprocess

CPUS = {"max": "max,+svm", "epyc": "EPYC,+svm"}
OUT = "build/bench"
OPS = OUT + "/bench_ops.elf"
LIMIT = 1200  # seconds, for a machine that does much else; a run takes 5 to 60
KERNEL = "build/payload/vmlinuz"
LINUX_OPTIONS = "console=ttyS0 mitigations=off panic=-1"


# Names of runs whose console of last time is taken, when there is one; Nestling plays no part in them.
keep = ()


class Failed(Exception):
    """A run gave no result; the message says which and why."""


def parse(console):
    """All BENCH lines of a console."""
    return [(name, int(least), int(median)) for name, least, median
            in re.findall(r"^\s*BENCH (\S+) min=(\d+) median=(\d+)", console, re.MULTILINE)]


def qemu(name, cpu, arguments, limit, icount=True):
    """Runs QEMU to its end; the console's text. It is kept as build/bench/<name>.log."""
    command = ["qemu-system-x86_64", "-nographic", "-no-reboot", "-nic", "none", "-smp", "1",
               "-cpu", CPUS[cpu], *arguments]
    if icount:
        command += ["-icount", "shift=0,sleep=off"]
    path = f"{OUT}/{name}-{cpu}.log"
    if name in keep and os.path.exists(path):
        with open(path, encoding="latin-1") as log:
            return log.read()
    with open(path, "wb") as log:
        try:
            status = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log,
                                    stderr=subprocess.STDOUT, timeout=limit, check=False).returncode
        except subprocess.TimeoutExpired as error:
            raise Failed(f"{path}: QEMU takes more than {limit} s") from error
    with open(path, encoding="latin-1") as log:
        text = log.read()
    # The kernels end by way of a port that only Nestling has, then by ACPI: status 0 everywhere.
    if status:
        raise Failed(f"{path}: QEMU ended with status {status}")
    return text


def measured(name, cpu, arguments, limit, last):
    """The results of a run; `last` is what it must have measured in the end."""
    found = parse(qemu(name, cpu, arguments, limit))
    if last not in [operation for operation, _, _ in found]:
        raise Failed(f"{OUT}/{name}-{cpu}.log: no figure for {last}")
    return found


def iso(name, cpu, guests, options="", **modules):
    """An ISO of Nestling with its options and the guests described; QEMU's options to boot it."""
    stem = f"{OUT}/{name}-{cpu}"
    with open(stem + ".cfg", "w", encoding="ascii") as f:
        f.write(guests)
    modules["nestling.cfg"] = stem + ".cfg"
    made = subprocess.run(["iso/mkiso.sh", "-o", stem + ".iso", "-k", "build/nestling.elf", "-c", options,
                           *(f"{module}={path}" for module, path in modules.items())],
                          capture_output=True, text=True, check=False)
    if made.returncode:
        raise Failed("iso/mkiso.sh: " + made.stderr.strip()[-300:])
    # Straight to the CD: SeaBIOS would wait for a disk and a floppy first, and waiting is instructions.
    return ["-boot", "d", "-cdrom", stem + ".iso"]


def bare_ops(cpu):
    """The bare kernel on the emulated CPU itself."""
    return measured("bare-ops", cpu, ["-m", "256M", "-kernel", OPS], LIMIT, "npf")


def bare_linux(cpu):
    """Linux on the emulated CPU itself; its guests are one level higher than elsewhere."""
    return measured("bare-linux", cpu,
                    ["-m", "512M", "-kernel", KERNEL, "-initrd", OUT + "/l1.cpio.gz",
                     "-append", LINUX_OPTIONS], LIMIT, "end")


def nestling_ops(cpu, plane=False):
    """The bare kernel under Nestling; with a network plane, on the same CPU, that nobody talks to."""
    name = "nestling-plane" if plane else "nestling-ops"
    guests = "guest bench\n  memory 128M\n  image bench_ops.elf\n"
    boot = iso(name, cpu, guests, "net=e1000 ip=10.0.2.15/24" if plane else "", **{"bench_ops.elf": OPS})
    if plane:
        boot += ["-netdev", "user,id=net0", "-device", "e1000,netdev=net0"]
    return measured(name, cpu, ["-m", "512M", *boot], LIMIT, "npf")


def nestling_company(cpu, others=7):
    """A round trip beside other L1s, each on a CPU of its own."""
    guests = "guest bench\n  memory 1G\n  image bench_ops.elf\n  cmdline only=round-trip-1-l2\n"
    for index in range(others):
        guests += (f"guest idle{index}\n  memory 128M\n  image bench_ops.elf\n"
                   "  cmdline only=idle\n")
    boot = iso("nestling-company", cpu, guests, **{"bench_ops.elf": OPS})
    found = measured("nestling-company", cpu, ["-m", "3G", "-smp", str(others + 1), *boot], LIMIT,
                     "round-trip-1-l2")
    return [(f"round-trip-{others + 1}-l1", *figures) for _, *figures in found]


def nestling_linux_iso(name, cpu, options="", initrd=OUT + "/l1.cpio.gz", memory="512M"):
    """QEMU's options to boot Linux under Nestling."""
    guests = (f"guest bench\n  memory {memory}\n  image vmlinuz\n  initrd initrd\n"
              f"  cmdline {LINUX_OPTIONS} {options}\n")
    return ["-m", "2G", *iso(name, cpu, guests, vmlinuz=KERNEL, initrd=initrd)]


def nestling_linux(cpu):
    """Linux under Nestling."""
    return measured("nestling-linux", cpu, nestling_linux_iso("nestling-linux", cpu), LIMIT,
                    "end")


def kvm(cpu):
    """Both under Debian's KVM. L1's boot counts from the start of its QEMU."""
    name = "kvm"
    console = qemu(name, cpu, ["-m", "2G", "-kernel", KERNEL, "-initrd", OUT + "/l0.cpio.gz",
                               "-append", LINUX_OPTIONS + " bench.run=kvm"], 2 * LIMIT)
    found = parse(console.partition("SECTION kvm")[2])
    ends = [ticks for operation, ticks, _ in found if operation == "end"]
    clock = {operation: ticks for operation, ticks, _ in found}
    if len(ends) != 2:
        raise Failed(f"{OUT}/{name}-{cpu}.log: the guests of KVM did not all come to their end")
    after_boot = ends[0] - clock["boot"]  # of L1, by its own clock
    boot = ends[1] - clock["qemu-start"] - after_boot
    return [entry if entry[0] != "boot" else ("boot", boot, boot) for entry in found]
