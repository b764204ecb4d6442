#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""tools/metrics.py [--check] - sizes of our own tree against the house rules.

Prints, per folder: code lines, lines of the longest file, functions, their median and longest
length, comment lines per code line; then the offenders. With --check it prints offenders only,
and fails when a file or a function is over its limit.
"""
import os
import re
import statistics
import sys

FOLDERS = ("include", "boot", "kernel", "drivers", "svm", "nested", "vdev", "net", "tests", "tools")
FILE_LIMIT = 500
FUNCTION_LIMIT = 60
HYPERVISOR = ("include", "boot", "kernel", "drivers", "svm", "nested", "vdev", "net")
# Code lines, as in the table of the studied trees, of what is linked. The management plane, off unless a card is
# named, is counted by itself: the hypervisor must stay as small as it was without it.
TOTAL_LIMIT = {"hypervisor": 20000, "management plane": 5000}
PLANE = ("net/", "drivers/nic", "drivers/pci")

SOURCES = (".c", ".h", ".asm", ".inc", ".py", ".sh", ".mk")


def sources(folder):
    for directory, _, files in sorted(os.walk(folder)):
        for file in sorted(files):
            if file.endswith(SOURCES):
                yield os.path.join(directory, file)


def functions(lines):
    """(name, first line, length) of each C function; relies on braces in column 0."""
    start = name = None
    for number, line in enumerate(lines, 1):
        if line.startswith("{") and number > 1:
            start = number
            before = " ".join(lines[max(0, number - 5):number - 1])
            names = re.findall(r"(\w+)\(", before)
            name = names[-1] if names else "?"
        elif line.startswith("}") and start:
            if not line.startswith("};"):
                yield name, start, number - start + 1
            start = None


def count_comments(text):
    """(code lines, comment lines) of C text; the licence line is not a comment."""
    text = re.sub(r"^/\* SPDX.*?\*/\n", "", text)
    comments = "\n".join(re.findall(r"/\*.*?\*/|//[^\n]*", text, re.DOTALL))
    bare = re.sub(r"/\*.*?\*/|//[^\n]*", "", text, flags=re.DOTALL)
    return sum(1 for l in bare.splitlines() if l.strip()), len(comments.splitlines())


def main():
    check = "--check" in sys.argv[1:]
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    offenders, total = [], dict.fromkeys(TOTAL_LIMIT, 0)
    if not check:
        print(f"{'folder':10} {'files':>5} {'code':>6} {'longest':>7} {'functions':>9} "
              f"{'median':>6} {'longest':>7} {'comments':>8}")
    for folder in FOLDERS:
        files = longest = code = comments = 0
        lengths = []
        for path in sources(folder):
            with open(path, encoding="utf-8") as f:
                text = f.read()
            lines = text.splitlines()
            part = "management plane" if path.startswith(PLANE) else "hypervisor"
            files += 1
            longest = max(longest, len(lines))
            if len(lines) > FILE_LIMIT:
                offenders.append(f"{path}: {len(lines)} lines, the limit is {FILE_LIMIT}")
            if path.endswith(".asm") and folder in HYPERVISOR:
                total[part] += sum(bool(line.strip()) and not line.strip().startswith(";")
                                   for line in lines)
            if not path.endswith((".c", ".h")):
                continue
            code_lines, comment_lines = count_comments(text)
            code, comments = code + code_lines, comments + comment_lines
            total[part] += code_lines if folder in HYPERVISOR else 0
            for name, start, length in functions(lines):
                lengths.append(length)
                if length > FUNCTION_LIMIT:
                    offenders.append(f"{path}:{start}: {name} has {length} lines, "
                                     f"the limit is {FUNCTION_LIMIT}")
        if files and not check:
            print(f"{folder:10} {files:5} {code:6} {longest:7} {len(lengths):9} "
                  f"{statistics.median(lengths or [0]):6.0f} {max(lengths or [0]):7} "
                  f"{comments / max(code, 1):8.2f}")
    for part, limit in TOTAL_LIMIT.items():
        if total[part] > limit:
            offenders.append(f"the {part} has {total[part]} code lines, the limit is {limit}")
    print("\n".join(offenders) or "no offenders; code lines: " +
          ", ".join(f"{part} {count}" for part, count in total.items()))
    sys.exit(1 if check and offenders else 0)


if __name__ == "__main__":
    main()
