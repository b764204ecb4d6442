#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""tests/system/differential.py - where a bare CPU and Nestling on it differ, and who is right.

The same test kernel runs on the CPU model itself and as L1 under Nestling, and prints what each
VMRUN left in its VMCB (tests/guest/lib/trace.c). Every difference gets a verdict: the scenario's
own expectations, which cite the manual, where the bare CPU does not meet them; else a rule of
RULES. What neither explains counts as a defect of Nestling, and fails the run in tests/conftest.py.
As a program (`make diff`) it prints all differences of the last runs.
"""
import re
import sys
from collections import namedtuple
from dataclasses import dataclass

import results
import runs

LOGS = "build/tests/logs"
INVALID = 0xFFFFFFFF  # the half of EXITCODE -1 that both engines store
INTR, IOIO, SHUTDOWN, NPF = 0x60, 0x7B, 0x7F, 0x400
VALID = 1 << 31  # of EVENTINJ and EXITINTINFO
LEFT_ALONE = r"vintr|nrip|rip|rsp|rax|rflags|cpl|cr[0234]|efer|dr[67]|[cs]s\.\w+|g_pat|int_state"

# engine: whose CPU does so, "" for both. field, scenario: regular expressions, of the whole name.
# holds(bare, nested, code): values of the field, and the exit code that Nestling gave.
Rule = namedtuple("Rule", "engine field scenario holds reason")


def _always(_bare, _nested, _code):
    return True


def _only(bits):
    """The two differ in these bits alone."""
    return lambda bare, nested, _code: not (bare ^ nested) & ~bits


def _has_no_nrip(code):
    """Exits that are about no instruction: exceptions but those of INT3, INTO, BOUND, and events."""
    return (0x40 <= code < 0x64 and code not in (0x43, 0x44, 0x45)) or \
        code in (0x64, 0x7D, 0x7E, 0x7F, NPF) or code & INVALID == INVALID


RULES = (
    Rule("qemu", "nrip", ".*", lambda _bare, nested, code: bool(nested) != _has_no_nrip(code),
         "APM 15.7.1: the CPU has no NRIPS and stores nothing, Nestling offers it"),
    Rule("bochs", "nrip", ".*", lambda bare, nested, code: not nested and _has_no_nrip(code),
         "APM 15.7.1: nRIP is for instructions and what is as good as one; the CPU stores it always"),
    Rule("bochs", "nrip", "insn_l2_vmmcall_unintercepted", _always,
         "APM 15.7.1: no nRIP for #UD; the CPU stores it always"),
    Rule("", "info1", ".*", lambda bare, nested, code: not bare and (code < 0x40 or code in (0x65, 0x75, 0x79)),
         "APM 15.8.1: decode assists, which the CPU has not and Nestling offers"),
    Rule("", "info1", ".*", lambda bare, nested, code: code == IOIO and not (bare ^ nested) & ~0x1F80,
         "APM 15.10.2: address size and segment of IOIO, which the CPU leaves out"),
    Rule("qemu", "exitcode", ".*", lambda bare, nested, _code: bare == INVALID and bare == nested & INVALID,
         "APM 15.5.1: EXITCODE -1 has 64 bits"),
    Rule("", LEFT_ALONE, ".*", lambda _bare, _nested, code: code & INVALID == INVALID,
         "APM 15.5.1, 15.6: a refused VMRUN stores EXITCODE and its like; the CPU writes the host's registers, too"),
    Rule("bochs", "rip|rsp|rflags", "refused_then_legal", _always,
         "APM 15.6: the same, seen by the VMRUN that follows"),
    Rule("", ".*", ".*", lambda _bare, _nested, code: code == SHUTDOWN,
         "APM 15.14.3: after an intercepted shutdown the state in the VMCB is undefined"),
    Rule("", "exitintinfo", ".*", lambda bare, nested, _code: not (bare | nested) & VALID,
         "APM 15.7.2: without V the rest of EXITINTINFO has no meaning"),
    Rule("", "eventinj", ".*", lambda bare, nested, _code: not (bare | nested) & VALID,
         "APM 15.20: without V the rest of EVENTINJ has no meaning"),
    Rule("", "int_state", "check_reserved_fields_ignored", _only(~0x3),
         "APM appendix B: bits 63:2 of the word at 068h are reserved"),
    Rule("", "vintr", "check_unoffered_ignored", _always,
         "APM 15.21.10: the scenario sets bits of what is not offered, and that differs"),
    Rule("", "dr[67]", "check_dr_low_reserved_legal", _always,
         "APM 13.1.1: DR6 and DR7 have bits that are always 1; the CPU stores what was loaded"),
    Rule("bochs", "rflags", ".*", _only(0x2), "APM 3.1.6: bit 1 of RFLAGS is 1; the CPU stores what was loaded"),
    Rule("bochs", "rflags", "check_rflags_reserved_legal", _always,
         "APM 3.1.6: reserved bits of RFLAGS are fixed; the CPU stores what was loaded"),
    Rule("bochs", "cr2", ".*", _always, "APM 15.5.1: VMRUN loads CR2; the CPU does not"),
    Rule("bochs", "dr6", ".*", lambda _bare, _nested, code: code == 0x41,
         "APM 15.12.2: DR6 is up to date at a #DB exit; the CPU's is not"),
    Rule("bochs", "rax|rflags|regs", "exit_pause_filter|pause_filter_.*", _always,
         "APM 15.14.4 does not say whether the PAUSE that finds the counter used up exits, or the next"),
    Rule("", "info1", "place_ncr3_unbacked", _always,
         "APM 15.25.6: what a table without memory behind it reads as is the machine's affair"),
    Rule("", "rip|rsp|rax|rflags", ".*", lambda _bare, _nested, code: code == INTR,
         "APM 15.13.1: where the interrupt comes is a matter of time"),
    Rule("", "rax|rflags", ".*rdtsc.*|tsc_.*", _always,
         "APM 13.2.4: the value of the time-stamp counter"),
    Rule("", "rax", "ioio_.*|npt_device_through", _always, "APM vol. 3 IN, MOV: what a port or a register gives is its device's affair"),
)


@dataclass
class Difference:
    """One field of one VMRUN, bare and under Nestling; without a verdict it is a defect."""
    scenario: str
    place: str
    bare: str
    nested: str
    verdict: str = ""

    def __str__(self):
        return (f"{self.scenario} {self.place}: bare {self.bare}, Nestling {self.nested}: "
                f"{self.verdict or 'DEFECT, or the bare CPU is wrong in a way that no rule names'}")


def vmruns(console):
    """{scenario: [{field: value} for each VMRUN]} of the lines of lib/trace.c."""
    found = {}
    for line in console.splitlines():
        match = re.match(r"\s*VMRUN (\S+) (?:\d+|more)((?: \S+=[0-9a-f]+)*)\s*$", line)
        if match:
            fields = (pair.split("=") for pair in match.group(2).split())
            found.setdefault(match.group(1), []).append({name: int(v, 16) for name, v in fields})
    return found


# What a line leaves out; tests/guest/lib/trace.c says the same.
USUAL = {"rflags": 2, "cr0": 0x80000033, "cr4": 0x620, "efer": 0x1D01, "dr6": 0xFFFF0FF0, "dr7": 0x400,
         "cs.sel": 8, "cs.attr": 0xA9B, "cs.limit": 0xFFFFFFFF, "ss.sel": 0x10, "ss.attr": 0xC93,
         "ss.limit": 0xFFFFFFFF, "g_pat": 0x0007040600070406}


def _reason(engine, scenario, field, bare, nested, code):
    for rule in RULES:
        if rule.engine in ("", engine) and re.fullmatch(rule.field, field) and \
                re.fullmatch(rule.scenario, scenario) and rule.holds(bare, nested, code):
            return rule.reason
    return ""


def _of_vmrun(engine, scenario, number, bare, nested):
    code = nested.get("exitcode", 0)
    for field in sorted(set(bare) | set(nested)):
        values = [side.get(field, USUAL.get(field, 0)) for side in (bare, nested)]
        if values[0] != values[1]:
            yield Difference(scenario, f"VMRUN {number} {field}", f"{values[0]:x}", f"{values[1]:x}",
                             _reason(engine, scenario, field, *values, code))


def _of_fields(engine, scenario, bare, nested):
    if len(bare) != len(nested):
        yield Difference(scenario, "number of VMRUNs", str(len(bare)), str(len(nested)))
    for number, pair in enumerate(zip(bare, nested)):
        yield from _of_vmrun(engine, scenario, number, *pair)


def _said(result):
    return result.outcome + (f" ({result.reason})" if result.reason else "")


def compare(engine, bare_console, nested_console):
    """All differences between the two runs of one kernel on that engine."""
    bare = {r.name: r for r in results.of_kernel("bare", bare_console)}
    bare_vmruns, nested_vmruns = vmruns(bare_console), vmruns(nested_console)
    found = []
    for ours in results.of_kernel("nested", nested_console):
        theirs = bare.get(ours.name, results.Result(ours.name, "broken", "no such line"))
        outcomes = (theirs.outcome, ours.outcome)
        if outcomes == ("passed", "passed"):
            found += _of_fields(engine, ours.name, bare_vmruns.get(ours.name, []),
                                nested_vmruns.get(ours.name, []))
        elif outcomes[0] != outcomes[1] or theirs.reason != ours.reason:
            found.append(Difference(ours.name, "result", _said(theirs), _said(ours), _of_outcomes(theirs, ours)))
    return found


def _of_outcomes(bare, nested):
    if bare.outcome == "skipped" or nested.outcome == "skipped":
        return "not to be compared: what is offered differs, or it would end the emulator"
    if (bare.outcome, nested.outcome) == ("failed", "passed"):
        return "Nestling does what the manual says, by the scenario's own expectation " + \
            bare.reason.partition("]")[0] + "]"
    return ""


def of_run(run, logs=LOGS):
    """compare() of the run's two logs."""
    texts = []
    for kind in (".bare.log", ".log"):
        with open(f"{logs}/{run.name}{kind}", encoding="latin-1") as log:
            texts.append(log.read())
    return compare(run.engine, *texts)


def main():
    defects = 0
    for run in runs.load():
        if not run.control:
            continue
        try:
            found = of_run(run)
        except FileNotFoundError as error:
            sys.exit(f"nestling: error: {error.filename} is missing; make diff does the runs")
        defects += sum(not d.verdict for d in found)
        print(f"--- {run.name}: {len(found)} differences")
        print("\n".join(map(str, found)))
    print(f"{defects} of them defects")
    sys.exit(defects != 0)


if __name__ == "__main__":
    main()
