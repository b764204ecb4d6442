#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""tools/exitcost.py [--lines | --all] [--mark N] ELF LIST - reads what tools/exitcost_plugin.c listed.

Prints where the instructions of one round of an operation are spent: by function (inlined code
counts for the function it was written in; the one it ended up in stands behind), by source line,
or all of them in order. Memory functions stand apart for each function that calls them.
"""
import argparse
import collections
import subprocess

HELPERS = ("memset", "memcpy", "memmove", "memcmp")


def read_list(path, mark):
    """Addresses in the order of execution."""
    with open(path, encoding="ascii") as f:
        pairs = (line.split() for line in f)
        return [int(address, 16) for number, address in pairs if int(number) == mark]


def places(elf, addresses):
    """Address -> (function, function it was inlined into or "", file:line)."""
    out = subprocess.run(["addr2line", "-e", elf, "-f", "-i", "-a"], check=True, text=True,
                         capture_output=True, input="\n".join(map(hex, addresses))).stdout
    result, chain = [], []
    for line in out.splitlines() + ["0x0"]:
        if line.startswith("0x") and ":" not in line:
            if chain:
                names = chain[::2]
                where = chain[1].split(" (")[0]
                result.append((names[0], names[-1] if len(names) > 1 else "",
                               "/".join(where.split("/")[-2:])))
            chain = []
        else:
            chain.append(line)
    return dict(zip(addresses, result))


def instructions(elf):
    """Address -> text of the instruction."""
    out = subprocess.run(["objdump", "-d", "--no-show-raw-insn", "-M", "intel", elf], check=True,
                         text=True, capture_output=True).stdout
    pairs = (line.split(":\t", 1) for line in out.splitlines() if ":\t" in line)
    return {int(address, 16): text.strip() for address, text in pairs}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lines", action="store_true")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--mark", type=int, default=1)
    parser.add_argument("elf")
    parser.add_argument("list")
    args = parser.parse_args()
    run = read_list(args.list, args.mark)
    place, text = places(args.elf, sorted(set(run))), instructions(args.elf)
    counts, caller = collections.Counter(), ""
    for address in run:
        name, outer, where = place[address]
        if name in HELPERS:
            name, where = f"{name} for {caller}", f"{name} for {caller}"
        else:
            caller = name
        if args.all:
            print(f"{address:x}  {where:28} {name:28} {text[address]}")
        counts[where if args.lines else (name + f"  (in {outer})" if outer else name)] += 1
    if not args.all:
        for key, count in counts.most_common():
            print(f"{count:6}  {key}")
    entries = sum(text[address] == "vmrun" for address in run)
    print(f"{len(run):6}  instructions of L0 in all; {entries} VMRUN of L0. "
          "Each step of a REP counts as one.")


if __name__ == "__main__":
    main()
