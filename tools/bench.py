#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""tools/bench.py [--keep] [--record] - `make bench`: measures on all three engines and writes what came of it.

Prints the table; writes build/bench.tsv (one row for each line of the table, -cpu max),
build/bench-all.tsv (every figure), docs/performance.md (between its markers) and
docs/performance.svg. With --record Nestling's figures are added to tests/bench/history.tsv first;
with --keep those of the bare CPU and of KVM are the last run's.
`make bench-boot` leaves the slow figures in build/bench/boot.tsv; they are taken over when there.
"""
import datetime
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
sys.path.insert(0, os.path.join(ROOT, "tests/bench"))
import history       # noqa: E402
import measure       # noqa: E402
import transitions   # noqa: E402

ENGINES = ("bare", "kvm", "nestling")
PAGE = "docs/performance.md"
BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"

# Title, the operations (the dearest counts), goal: instructions, for each CPU if they differ, or as a float
# how many times the bare CPU's figure. The order is that of build/bench.tsv.
ROWS = (
    ("L1 CPUID exit", ("cpuid",), 200),
    ("L1 port read served by a device model", ("port-uart",), 400),
    ("self-IPI round trip (xAPIC)", ("ipi",), 1500),
    ("VMRUN, L1 to first L2 instruction", ("vmrun",), 900),
    ("#VMEXIT, L2 to next L1 instruction", ("vmexit",), 600),
    ("VMRUN refused by a consistency check", ("vmrun-refused",), 450),
    ("VMLOAD / VMSAVE by L1", ("vmload", "vmsave"), 200),
    ("STGI / CLGI by L1", ("stgi", "clgi"), {"max": 6, "epyc": 200}),
    ("shadow nested page fault, first touch of a 4 KiB page", ("npf",), 1000),
    ("L2 CPUID exit handled by Linux KVM in L1", ("l2-cpuid",), 6000),
    ("L2 port write to user space of L1", ("l2-port",), 7500),
    ("Debian L1 boot to init (whole run, instructions)", ("boot",), 1.1),
    ("Debian L2 boot to init under L1's QEMU/KVM (seconds)", ("l2-boot",), 1.6),
)
MORE = (
    ("port read of the PIC, which KVM serves in the kernel", ("port-pic",)),
    ("CLGI, VMLOAD, VMRUN to first L2 instruction", ("switch-in",)),
    ("#VMEXIT, STGI to next L1 instruction", ("switch-out",)),
    ("#VMEXIT, VMSAVE, STGI to next L1 instruction", ("full-out",)),
    ("VMRUN as kvm-unit-tests brackets it", ("latency-vmrun",)),
    ("#VMEXIT as kvm-unit-tests brackets it", ("latency-vmexit",)),
    ("VMRUN with permission maps and usual intercepts", ("vmrun-maps",)),
    ("#VMEXIT of such an L2", ("vmexit-maps",)),
    ("VMRUN, all clean bits set", ("vmrun-clean",)),
    ("first touch, A and D clear in L1's table", ("npf-new",)),
    ("each of 512 pages in order, A and D set", ("npf-sequential",)),
    ("each of 512 pages in order, A and D clear", ("npf-sequential-new",)),
    ("round trip, one L2", ("round-trip-1-l2",)),
    ("round trip, 4 L2s in turn", ("round-trip-4-l2",)),
    ("round trip, 16 L2s in turn", ("round-trip-16-l2",)),
    ("round trip, one L2, L1 of 1 GiB beside 7 other L1s", ("round-trip-8-l1",)),
)
# Pairs whose sum is a round trip, and how much dearer KVM's must be.
ROUND_TRIPS = (("VMRUN + #VMEXIT", "vmrun", "vmexit"),
               ("as kvm-unit-tests brackets it", "latency-vmrun", "latency-vmexit"),
               ("CLGI, VMLOAD, VMRUN + #VMEXIT, STGI", "switch-in", "switch-out"),
               ("CLGI, VMLOAD, VMRUN + #VMEXIT, VMSAVE, STGI", "full-in", "full-out"),
               ("VMRUN + #VMEXIT with permission maps", "vmrun-maps", "vmexit-maps"))
ROUND_TRIP_GOAL = {"max": 9, "epyc": 14}
LEGENDS = {"max": "`-cpu max` (vGIF)", "epyc": "`-cpu EPYC` (no vGIF)"}


class Figures:
    """(cpu, engine, operation) -> median, as measured. Clock readings are no operations."""

    def __init__(self):
        self.of = {}

    def add(self, cpu, engine, results):
        for operation, _, median in results:
            if operation in ("end", "qemu-start"):
                continue
            self.of[cpu, engine, operation] = median

    def get(self, cpu, engine, operations):
        """The dearest of the operations; None when none was measured."""
        found = [self.of[cpu, engine, o] for o in operations if (cpu, engine, o) in self.of]
        return max(found) if found else None


def measure_all():
    """Every run, two at a time, the longest first. Returns figures and transitions."""
    runs = {"kvm": measure.kvm, "nestling": measure.nestling_linux, "bare": measure.bare_linux}
    figures, cpus = Figures(), tuple(measure.CPUS)
    with ThreadPoolExecutor(2) as pool:
        jobs = [(cpu, engine, pool.submit(run, cpu))
                for engine, run in runs.items() for cpu in cpus]
        jobs += [(cpu, "nestling", pool.submit(measure.nestling_ops, cpu)) for cpu in cpus]
        jobs += [(cpu, "nestling", pool.submit(measure.nestling_company, cpu)) for cpu in cpus]
        jobs += [(cpu, "bare", pool.submit(measure.bare_ops, cpu)) for cpu in cpus]
        rounds = pool.submit(transitions.of_round_trip, "max")
        causes = {o: pool.submit(transitions.of_l2_exit, "max", o) for o in ("cpuid", "port")}
        for cpu, engine, job in jobs:
            print(f"measuring {engine} on {cpu}", file=sys.stderr, flush=True)
            figures.add(cpu, engine, job.result())
        return figures, rounds.result(), {o: job.result() for o, job in causes.items()}


def add_boot(figures):
    """What `make bench-boot` measured last, if it did."""
    path = measure.OUT + "/boot.tsv"
    if os.path.exists(path):
        with open(path, encoding="ascii") as f:
            for line in f.read().splitlines()[1:]:
                engine, seconds = line.split("\t")
                figures.of["max", engine, "l2-boot"] = float(seconds)


# --- tables ---

def number(value):
    if value is None:
        return "-"
    return f"{value:,.1f}" if isinstance(value, float) else f"{value:,}"


def ratio(above, below):
    return f"{above / below:.1f}" if above and below else "-"


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]


def goal_text(goal, cpu, bare):
    if isinstance(goal, dict):
        goal = goal[cpu]
    if isinstance(goal, float):
        return number(type(bare)(goal * bare)) if bare else "-"
    return number(goal)


def operations_table(figures, cpu, rows):
    """One CPU model: the three engines side by side."""
    cells = []
    for title, operations, *goal in rows:
        bare, kvm, nestling = (figures.get(cpu, engine, operations) for engine in ENGINES)
        cells.append((title, number(bare), number(kvm), number(nestling), ratio(kvm, nestling),
                      *(goal_text(g, cpu, bare) for g in goal)))
    header = ["operation", "bare CPU", "KVM as L0", "Nestling", "KVM / Nestling"]
    return table(header + ["goal"] * (len(rows[0]) == 3), cells)


def round_trip_table(figures):
    cells = []
    for title, *operations in ROUND_TRIPS:
        for cpu, legend in LEGENDS.items():
            sums = [sum(figures.get(cpu, engine, (o,)) for o in operations)
                    for engine in ("kvm", "nestling")]
            cells.append((title, legend, *map(number, sums), ratio(*sums),
                          f"{ROUND_TRIP_GOAL[cpu]}"))
    return table(("round trip", "CPU", "KVM as L0", "Nestling", "KVM / Nestling", "goal"), cells)


def transition_tables(rounds, causes):
    lines = [f"One VMRUN of L1 is {rounds[0]} run of L0's VMRUN, one #VMEXIT to L1 is {rounds[1]}: "
             f"{sum(rounds)} transitions for a round trip.", ""]
    for operation, counts in causes.items():
        total = sum(counts.values())
        cells = [(cause, f"L{level}", f"{count:.2f}") for (cause, level), count
                 in sorted(counts.items(), key=lambda item: -item[1])]
        lines += [f"An L2 exit by {'CPUID' if operation == 'cpuid' else 'a port write'} under "
                  f"Linux's KVM: {total:.2f} transitions.", "",
                  *table(("cause", "out of", "for each exit"), cells), ""]
    return lines


def report(figures, rounds, causes):
    """The generated part of docs/performance.md."""
    lines = []
    for cpu, legend in LEGENDS.items():
        lines += [f"### {legend}", "", *operations_table(figures, cpu, ROWS), "",
                  "Variants and growth:", "", *operations_table(figures, cpu, MORE), ""]
    lines += ["### Round trips", "", *round_trip_table(figures), "",
              "### Transitions to L0", "", *transition_tables(rounds, causes)]
    return "\n".join(lines).rstrip() + "\n"


# --- files ---

def plain(value):
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def write_tsv(figures):
    with open("build/bench.tsv", "w", encoding="ascii") as f:
        print("operation", *ENGINES, sep="\t", file=f)
        for title, operations, _ in ROWS:
            print(title, *(plain(figures.get("max", e, operations)) for e in ENGINES), sep="\t",
                  file=f)
    with open("build/bench-all.tsv", "w", encoding="ascii") as f:
        print("cpu", "operation", *ENGINES, sep="\t", file=f)
        for cpu, operation in dict.fromkeys((c, o) for c, _, o in figures.of):
            print(cpu, operation, *(plain(figures.get(cpu, e, (operation,))) for e in ENGINES),
                  sep="\t", file=f)


def write_page(text):
    with open(PAGE, encoding="utf-8") as f:
        before, _, rest = f.read().partition(BEGIN)
    after = rest.partition(END)[2]
    with open(PAGE, "w", encoding="utf-8") as f:
        f.write(f"{before}{BEGIN}\n{text}{END}{after}")


def main():
    os.chdir(ROOT)
    if "--keep" in sys.argv[1:]:
        measure.keep = ("bare-ops", "bare-linux", "kvm")
    try:
        figures, rounds, causes = measure_all()
    except measure.Failed as error:
        sys.exit(f"nestling: error: {error}")
    add_boot(figures)
    text = report(figures, rounds, causes)
    print(text)
    write_tsv(figures)
    write_page(text)
    if "--record" in sys.argv[1:]:
        commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], check=True,
                                capture_output=True, text=True).stdout.strip()
        history.append(datetime.date.today().isoformat(), commit,
                       {o: v for (cpu, e, o), v in figures.of.items()
                        if (cpu, e) == ("max", "nestling")})
    history.plot()
    print("written: build/bench.tsv build/bench-all.tsv docs/performance.md docs/performance.svg")


if __name__ == "__main__":
    main()
