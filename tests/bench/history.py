# SPDX-License-Identifier: MIT
"""tests/bench/history.py - Nestling's figures over time: tests/bench/history.tsv, docs/performance.svg.

The file has a line (date, commit, operation, value) for each figure that was recorded; the plot
shows some of them, one curve each, over the recorded commits, on a logarithmic scale.
"""
import math
from xml.sax.saxutils import escape

FILE = "tests/bench/history.tsv"
PLOT = "docs/performance.svg"

# Operation and colour of its curve.
CURVES = (("vmrun", "#0072b2"), ("vmexit", "#56b4e9"), ("vmrun-refused", "#009e73"),
          ("cpuid", "#e69f00"), ("port-uart", "#d55e00"), ("vmload", "#cc79a7"),
          ("ipi", "#000000"), ("npf", "#666666"), ("l2-cpuid", "#7f3f98"))
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 900, 460, 60, 170, 40, 60


def append(date, commit, figures):
    """Adds one line for each figure; an earlier record of the same commit gives way."""
    with open(FILE, encoding="ascii") as f:
        lines = [line for line in f.read().splitlines() if line.split("\t")[1:2] != [commit]]
    lines += [f"{date}\t{commit}\t{operation}\t{value}" for operation, value in figures.items()]
    with open(FILE, "w", encoding="ascii") as f:
        f.write("\n".join(lines) + "\n")


def read():
    """Commits in order of recording, and operation -> {commit: value}."""
    commits, curves = {}, {}
    with open(FILE, encoding="ascii") as f:
        for line in f.read().splitlines()[1:]:
            date, commit, operation, value = line.split("\t")
            commits[commit] = date
            curves.setdefault(operation, {})[commit] = float(value)
    return commits, curves


def grid(low, high, y_of):
    """Horizontal lines at powers of ten and their halves."""
    for power in range(low, high + 1):
        for factor in (1, 2, 5):
            value = factor * 10 ** power
            if value > 10 ** high:
                continue
            y = y_of(value)
            yield (f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" '
                   f'stroke="#ddd"/><text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">'
                   f'{value:,}</text>')


def spread(wanted, gap):
    """Moves positions apart so that labels do not cover each other; keeps their order."""
    placed = []
    for y in wanted:
        placed.append(max(y, placed[-1] + gap) if placed else y)
    return placed


def plot():
    """Writes the plot; needs nothing but this file's data."""
    commits, curves = read()
    shown = [(name, colour, curves[name]) for name, colour in CURVES if name in curves]
    if not shown:
        return
    values = [v for _, _, points in shown for v in points.values() if v > 0]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    step = (WIDTH - LEFT - RIGHT) / max(len(commits) - 1, 1)
    x_of = {commit: LEFT + i * step for i, commit in enumerate(commits)}

    def y_of(value):
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - math.log10(max(value, 1))) / (high - low)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
           'font-family="sans-serif" font-size="11"><rect width="100%" height="100%" fill="#fff"/>',
           f'<text x="{LEFT}" y="20" font-size="14">Instructions per operation, Nestling, '
           '-cpu max</text>', *grid(low, high, y_of)]
    for commit, date in commits.items():
        out.append(f'<text x="{x_of[commit]:.1f}" y="{HEIGHT - BOTTOM + 18}" '
                   f'text-anchor="middle">{escape(commit[:14])}</text>'
                   f'<text x="{x_of[commit]:.1f}" y="{HEIGHT - BOTTOM + 32}" '
                   f'text-anchor="middle" fill="#666">{escape(date)}</text>')
    ends = []
    for name, colour, points in shown:
        path = [(x_of[c], y_of(points[c])) for c in commits if c in points]
        out.append('<polyline fill="none" stroke-width="2" '
                   f'stroke="{colour}" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in path)}"/>')
        out += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in path]
        ends.append((path[-1][1], name, colour, list(points.values())[-1]))
    ends.sort()
    for y, (_, name, colour, value) in zip(spread([end[0] for end in ends], 14), ends):
        out.append(f'<text x="{WIDTH - RIGHT + 10}" y="{y + 4:.1f}" fill="{colour}">'
                   f'{name} {value:,.0f}</text>')
    with open(PLOT, "w", encoding="utf-8") as f:
        f.write("\n".join(out) + "\n</svg>\n")
