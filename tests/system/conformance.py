#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""tests/system/conformance.py - `make conformance`: writes docs/conformance.md from the last runs.

Each scenario of each test kernel, on the bare CPU model and under Nestling, on both engines, as
the consoles in build/tests/logs have it. A run that was not done leaves its column empty.
"""
import re
import sys
from collections import Counter

import differential
import results
import runs

TARGET = "docs/conformance.md"
COLUMNS = (("qemu", ".bare.log", "bare QEMU"), ("bochs", ".bare.log", "bare Bochs"),
           ("qemu", ".log", "Nestling on QEMU"), ("bochs", ".log", "Nestling on Bochs"))
WORDS = {"passed": "pass", "failed": "**fail**", "skipped": "skip"}

HEAD = """\
# Conformance: scenario by scenario

Written by `make conformance` from its runs; not to be edited. Each scenario of `tests/guest` states what the AMD
manual says (APM vol. 2 unless named) and runs four times: on the bare CPU model of each engine, and as L1 under
Nestling on it. *pass*: all expectations hold. *fail*: one does not. *excused*: fails under Nestling to the letter as
on the bare CPU, and cannot be mended there ([engines.md](engines.md)). *skip*: the CPU does not offer what is needed,
or the scenario would end the emulator. An empty cell: this kernel was not run there.

"""


def _kernel(run):
    return run.name.rpartition("bochs-")[2]


def _console(run, kind):
    try:
        with open(differential.LOGS + "/" + run.name + kind, encoding="latin-1") as log:
            return log.read()
    except FileNotFoundError:
        return ""


def _cells(run, kind):
    """{scenario: cell} of one run, and what the lines cite."""
    console = _console(run, kind)
    cells, cited = {}, {}
    excused = set()
    if console and kind == ".log" and run.control:
        bare = {(r.name, r.reason) for r in results.of_kernel("", _console(run, ".bare.log"))}
        excused = {name for name, _ in bare if name in run.excused}
    for result in results.of_kernel("", console) if console else ():
        if result.name:
            cells[result.name] = WORDS.get(result.outcome, result.outcome)
            if result.outcome == "failed" and result.name in excused and (result.name, result.reason) in bare:
                cells[result.name] = "excused"
    for name, section in re.findall(r"^\s*(?:PASS|FAIL) (\S+) \[([^\]]*)\]", console, re.MULTILINE):
        cited[name] = section.removeprefix("APM ")
    return cells, cited


def collect(all_runs):
    """{kernel: ({scenario: [four cells]}, {scenario: section})}, and one run for each engine."""
    kernels = {}
    for run in all_runs:
        if not re.fullmatch(r"(?:bochs-)?t_\w+", run.name):
            continue
        rows, cited = kernels.setdefault(_kernel(run), ({}, {}))
        for column, (engine, kind, _) in enumerate(COLUMNS):
            if engine == run.engine:
                cells, sections = _cells(run, kind)
                cited.update(sections)
                for scenario, cell in cells.items():
                    rows.setdefault(scenario, [""] * len(COLUMNS))[column] = cell
    return kernels


def _table(titles, rows):
    yield "| " + " | ".join(titles) + " |"
    yield "|" + "---|" * len(titles)
    for row in rows:
        yield "| " + " | ".join(row) + " |"


def _summary(kernels):
    counts = [Counter(cells[column] for rows, _ in kernels.values() for cells in rows.values())
              for column in range(len(COLUMNS))]
    words = ["pass", "**fail**", "excused", "skip", "broken"]
    rows = [[word] + [str(count[word]) for count in counts] for word in words
            if word != "broken" or any(count[word] for count in counts)]
    rows.append(["all"] + [str(sum(n for word, n in count.items() if word)) for count in counts])
    return _table([""] + [title for _, _, title in COLUMNS], rows)


def _differences(all_runs):
    """The verdicts of differential.py, and how often each was given."""
    counts = Counter()
    for run in all_runs:
        if run.control and _console(run, ".log") and _console(run, ".bare.log"):
            for difference in differential.of_run(run):
                verdict = re.sub(r"(own expectation) .*", r"\1", difference.verdict) or "**defect**"
                counts[run.engine, verdict] += 1
    rows = [[engine, str(count), verdict] for (engine, verdict), count in sorted(counts.items())]
    return _table(["engine", "differences", "verdict"], rows)


def text(all_runs):
    """The whole file."""
    kernels = collect(all_runs)
    lines = list(_summary(kernels))
    lines += ["", "## Where a bare CPU and Nestling on it differ", "",
              "What each VMRUN left in its VMCB is compared as well (`tests/guest/lib/trace.c`,",
              "`tests/system/differential.py`); `make diff` prints every difference with its verdict.", ""]
    lines += _differences(all_runs)
    for kernel, (rows, cited) in kernels.items():
        lines += ["", f"## {kernel}", ""]
        lines += _table(["scenario", "section"] + [title for _, _, title in COLUMNS],
                        [[f"`{name}`", cited.get(name, "")] + cells for name, cells in rows.items()])
    return HEAD + "\n".join(lines) + "\n"


def main():
    content = text(runs.load())
    with open(TARGET, "w", encoding="ascii") as f:
        f.write(content)
    print(content.partition("## t_")[0])
    if "**defect**" in content:
        sys.exit("nestling: error: there are differences that nothing explains; see make diff")


if __name__ == "__main__":
    main()
