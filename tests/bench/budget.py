# SPDX-License-Identifier: MIT
"""tests/bench/budget.py - no operation may become dearer unnoticed.

Measures Nestling with the bare kernel and compares with tests/bench/budget.tsv, one result for
each figure there. As a program (`make bench-budget`) it takes over what has become cheaper; a
figure is raised only by hand, in a commit that says why.
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../system"))
import measure              # noqa: E402
from results import Result  # noqa: E402

FILE = "tests/bench/budget.tsv"
CPUS = tuple(measure.CPUS)
PLANE = "max-with-plane" # the same operations and figures beside a network plane that is idle
TOLERANCE = 1.05


def read():
    """(cpu, operation) -> the recorded instructions, in the file's order."""
    figures = {}
    with open(FILE, encoding="ascii") as f:
        for line in f.read().splitlines()[1:]:
            cpu, operation, figure = line.split("\t")
            figures[cpu, operation] = int(figure)
    return figures


def compare(name, figure, got):
    """The verdict on one operation."""
    if got is None:
        return Result(name, "broken", f"{FILE} has {name}, the benchmark does not")
    if got > figure * TOLERANCE:
        return Result(name, "failed", f"{name} takes {got} instructions, {FILE} allows {figure} "
                      f"and 5%; tools/exitcost.sh {name} shows where they go")
    return Result(name, "passed")


def results(cpu):
    """All operations of one CPU model, or of PLANE."""
    plane = cpu == PLANE
    cpu = "max" if plane else cpu
    try:
        got = {name: median for name, _, median in measure.nestling_ops(cpu, plane)}
    except measure.Failed as error:
        return [Result("", "broken", str(error))]
    return [compare(name, figure, got.get(name))
            for (model, name), figure in read().items() if model == cpu]


def lower():
    """Writes the lower of the recorded and the measured figures; new operations as measured."""
    figures = read()
    for cpu in CPUS:
        for name, _, median in measure.nestling_ops(cpu):
            figures[cpu, name] = min(median, figures.get((cpu, name), median))
    with open(FILE, "w", encoding="ascii") as f:
        print("cpu", "operation", "instructions", sep="\t", file=f)
        for (cpu, name), figure in figures.items():
            print(cpu, name, figure, sep="\t", file=f)


if __name__ == "__main__":
    lower()
