# SPDX-License-Identifier: MIT
"""tests/bench/budget.py - no operation may become dearer unnoticed.

Measures Nestling with the bare kernel and compares with tests/bench/budget.tsv, one result for
each figure there. A figure is raised only by a commit that says why; this file writes none.
"""
import measure
from results import Result

FILE = "tests/bench/budget.tsv"
CPUS = tuple(measure.CPUS)
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
    """All operations of one CPU model."""
    try:
        got = {name: median for name, _, median in measure.nestling_ops(cpu)}
    except measure.Failed as error:
        return [Result("", "broken", str(error))]
    return [compare(name, figure, got.get(name))
            for (model, name), figure in read().items() if model == cpu]
