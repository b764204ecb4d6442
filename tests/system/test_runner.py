# SPDX-License-Identifier: MIT
"""tests/system/test_runner.py - the runner itself: what must never count as a pass."""
import pytest

import differential
import results
import runs

KERNEL = "PASS one [APM 15.5]\nFAIL two [APM 15.6] rip got 0x1 expected 0x2\nSKIP three no NPT\n"
DONE = "DONE t_x pass=1 fail=1 skip=1\n"


def outcomes(found):
    return [result.outcome for result in found]


def test_kernel_lines_are_results():
    assert outcomes(results.of_kernel("t_x", KERNEL + DONE)) == ["passed", "failed", "skipped"]


def test_kernel_without_done_is_broken():
    assert outcomes(results.of_kernel("t_x", KERNEL))[-1] == "broken"


def test_kernel_that_lost_a_line_is_broken():
    assert outcomes(results.of_kernel("t_x", DONE + "PASS one\n"))[-1] == "broken"


def test_kernel_without_scenarios_is_broken():
    done = "DONE t_x pass=0 fail=0 skip=0\n"
    assert outcomes(results.of_kernel("t_x", done)) == ["broken"]


def test_only_the_same_failure_is_blamed_on_the_cpu():
    found = results.of_kernel("t_x", KERNEL + DONE)
    other = results.of_kernel("t_x", (KERNEL + DONE).replace("got 0x1", "got 0x3"))
    assert outcomes(results.blame_cpu(found, other, {found[1].name}))[1] == "failed"
    assert outcomes(results.blame_cpu(found, found, {}))[1] == "failed"
    assert outcomes(results.blame_cpu(found, found, {found[1].name}))[1] == "skipped"


END = "guest x ended: debug exit; check gaps 0\r\n"


def test_each_guest_must_end_without_check_gaps():
    assert results.host_defect(END, [], True) == ""
    assert "gaps 1" in results.host_defect(END + END.replace("0", "1"), [], True)
    assert results.host_defect("guest x ended: debug exit\r\n", [], True)
    assert results.host_defect("DONE", [], True) and not results.host_defect("DONE", [], False)


def test_panic_death_and_check_gap_fail_a_run_that_does_not_expect_them():
    for line in ("nestling: panic: CHECK(x) failed", "guest x died: shut down",
                 "check gap: the CPU refused a VMCB02 that our checks accepted",
                 "unchecked MSR access error: RDMSR from 0xc001001f at rIP: 0x0"):
        assert results.host_defect(line + "\r\n" + END, ["DONE"], True) == line
        assert results.host_defect(line + "\r\n" + END, [line], True) == ""


def differ(bare, nested, engine="qemu"):
    done = "PASS one [APM 15.5]\nDONE t_x pass=1 fail=0 skip=0\n"
    consoles = (text if "DONE" in text else f"VMRUN one 0 {text}\n" + done for text in (bare, nested))
    return differential.compare(engine, *consoles)


def test_equal_runs_have_no_difference():
    assert not differ("exitcode=81 rip=1000", "exitcode=81 rip=1000")


def test_difference_without_a_rule_is_a_defect():
    assert [d.verdict for d in differ("exitcode=81 rip=1000", "exitcode=81 rip=1003")] == [""]
    assert [d.verdict for d in differ("exitcode=81 cr2=1", "exitcode=81")] == [""]


def test_rule_counts_only_on_its_engine_and_only_where_it_holds():
    assert differ("exitcode=81 cr2=1", "exitcode=81", "bochs")[0].verdict
    assert differ("exitcode=81 exitintinfo=306", "exitcode=81")[0].verdict
    assert not differ("exitcode=81 exitintinfo=80000306", "exitcode=81")[0].verdict


def test_missing_vmrun_is_a_defect():
    done = "PASS one [APM 15.5]\nDONE t_x pass=1 fail=0 skip=0\n"
    assert [d.verdict for d in differ(done, "exitcode=81")] == [""]


def test_bare_cpu_may_fail_alone_but_not_pass_alone():
    passed = "PASS one [APM 15.5]\nDONE t_x pass=1 fail=0 skip=0\n"
    failed = "FAIL one [APM 15.5] rip got 0x1 expected 0x2\nDONE t_x pass=0 fail=1 skip=0\n"
    assert "APM 15.5" in differ(failed, passed)[0].verdict
    assert [d.verdict for d in differ(passed, failed)] == [""]


def test_tap_needs_every_announced_test():
    tap = "1..2\nok 1 - one\n"
    assert outcomes(results.of_tap("test_x", tap, 0)) == ["passed", "broken"]
    assert outcomes(results.of_tap("test_x", tap + "not ok 2 - two\n", 1)) == ["passed", "failed"]


def test_tap_of_a_program_that_died_is_broken():
    assert outcomes(results.of_tap("test_x", "1..1\nok 1 - one\n", -6))[-1] == "broken"


def test_unknown_key_is_refused(tmp_path):
    path = tmp_path / "guests.cfg"
    path.write_text("[x]\ndialoge = < hello\n")
    with pytest.raises(runs.ConfigError, match="dialoge"):
        runs.load(str(path))


def dialogue_of(tmp_path, text):
    path = tmp_path / "guests.cfg"
    path.write_text("[x]\ndialogue =\n" + "".join(f"\t{line}\n" for line in text.splitlines()))
    return runs.load(str(path))[0].dialogue


def test_steps_are_repeated(tmp_path):
    steps = dialogue_of(tmp_path, "> a\n* 2\n> b\n< c\n*\n> d")
    assert "".join(step for _, step in steps) == "abcbcd"


def test_repetition_must_begin_and_end(tmp_path):
    for text in ("> a\n*\n", "* 2\n> a\n", "* 2\n> a\n* 3\n*\n"):
        with pytest.raises(runs.ConfigError, match="repeated"):
            dialogue_of(tmp_path, text)


def test_every_run_expects_something():
    assert all(run.dialogue for run in runs.load())
