# SPDX-License-Identifier: MIT
"""tests/system/results.py - what a test program printed, turned into results.

Pure text work: the lines of a test kernel (tests/guest/lib/test.c) and the TAP
lines of a cmocka program. A program that says less than it announced is broken,
never passed.
"""
import re
from dataclasses import dataclass

OUTCOMES = ("passed", "failed", "skipped", "broken")


@dataclass
class Result:
    """One test: its name, one of OUTCOMES, and for all but passed the reason."""
    name: str
    outcome: str
    reason: str = ""


# What no run may show, unless its dialogue waits for a line with that word.
SURPRISES = {"panic": r"nestling: panic: [^\r\n]*", "died": r"guest \S+ died: [^\r\n]*",
             "refused": r"check gap: the CPU refused [^\r\n]*",
             "unchecked": r"unchecked MSR access error: [^\r\n]*"}


def host_defect(console, expected, must_end):
    """What the console shows of a defect of Nestling itself, or nothing.

    Each guest's last line must say that the CPU has refused no VMCB02 that our checks had
    accepted. `expected` is what the run's dialogue waits for; `must_end`: some guest must end.
    """
    for word, pattern in SURPRISES.items():
        found = re.search(pattern, console)
        if found and not any(word in step for step in expected):
            return found.group(0)
    ends = re.findall(r"guest \S+ ended: [^\r\n]*", console)
    for line in ends:
        if not line.rstrip().endswith("; check gaps 0"):
            return line
    return "no guest has said that it had no check gaps" if must_end and not ends else ""


WORDS = {"PASS": "passed", "FAIL": "failed", "SKIP": "skipped"}


def of_kernel(name, console):
    """Results of the scenarios of a test kernel, from the console's text."""
    results = []
    for line in console.splitlines():
        # L0 stamps and tags what it prints; a guest's line is passed on as it is.
        match = re.match(r"\s*(PASS|FAIL|SKIP) (\S+) ?(.*)", line)
        if match:
            word, scenario, rest = match.groups()
            results.append(Result(scenario, WORDS[word], "" if word == "PASS" else rest))
    done = re.search(r"^\s*DONE (\S+) pass=(\d+) fail=(\d+) skip=(\d+)", console, re.MULTILINE)
    if not done:
        last = results[-1].name if results else "the start"
        results.append(Result(name, "broken", f"no DONE line; the last that came was {last}"))
        return results
    want = dict(zip(OUTCOMES, map(int, done.groups()[1:])))
    have = {outcome: sum(r.outcome == outcome for r in results) for outcome in want}
    if have != want or not results:
        results.append(Result(name, "broken", f"DONE counts {want}, the lines give {have}"))
    return results


def blame_cpu(found, bare, excused):
    """Turns the failure of an excused scenario into a skip, if the bare CPU fails it to the letter.

    The emulated CPU does it wrong there, and Nestling cannot make up for it (docs/engines.md).
    Any other failure stays one, whatever the bare CPU does: making up for it is Nestling's work.
    """
    wrong = {(r.name, r.reason) for r in bare if r.outcome == "failed" and r.name in excused}
    for result in found:
        if (result.name, result.reason) in wrong:
            result.outcome = "skipped"
            result.reason = "the CPU itself does so, without Nestling: " + result.reason
    return found


def of_tap(name, output, status):
    """Results of a cmocka program, from its TAP output and its exit status."""
    results = []
    for line in output.splitlines():
        match = re.match(r"(not )?ok \d+ - (\w+)(.*)", line)
        if match:
            negated, test, rest = match.groups()
            outcome = "failed" if negated else "skipped" if "SKIP" in rest else "passed"
            results.append(Result(test, outcome, rest.strip(" #")))
    planned = sum(int(n) for n in re.findall(r"^1\.\.(\d+)", output, re.MULTILINE))
    failed = any(r.outcome == "failed" for r in results)
    if planned != len(results) or not results or (status != 0) != failed:
        results.append(Result(name, "broken", f"{planned} tests announced, {len(results)} came, "
                                              f"exit status {status}\n{output[-4000:]}"))
    elif failed:
        for result in results:
            if result.outcome == "failed":
                result.reason = output[-4000:]
    return results
