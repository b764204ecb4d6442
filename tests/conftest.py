# SPDX-License-Identifier: MIT
"""tests/conftest.py - what pytest needs to know: what the tests are, how they are counted.

Four kinds of programs are run, each giving one or many results: guards (a script that says yes
or no), cmocka programs (tests/unit), budgets (tests/bench), QEMU runs (tests/guests.cfg). Every
scenario counts as a test of its own. The fourth outcome, broken, is pytest's "error". Two programs
run at a time, whatever order pytest asks in.
"""
import glob
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

sys.path[:0] = [os.path.join(os.path.dirname(__file__), part) for part in ("system", "bench")]
import budget   # noqa: E402
import differential  # noqa: E402
import machine  # noqa: E402
import results  # noqa: E402
import runs     # noqa: E402
from results import Result  # noqa: E402

UNIT_PROGRAMS = "build/tests/unit/test_*"
UNIT_LIMIT = 120
LOGS = "build/tests/logs"
GUARDS = ("tools/deps.sh", "tools/symbols.sh", "tools/reading_order.sh", "tools/metrics.py --check")


def pytest_addoption(parser):
    parser.addoption("--group", default="test", choices=runs.GROUPS,
                     help="check: the short set of QEMU runs; test: all of them")
    parser.addoption("--jobs", type=int, default=2, help="programs that run at the same time")


def guard_results(command):
    done = subprocess.run(command.split(), capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return [Result("", "passed")]
    return [Result("", "failed", (done.stdout + done.stderr)[-4000:])]


def unit_results(program):
    environment = dict(os.environ, CMOCKA_MESSAGE_OUTPUT="TAP")
    try:
        done = subprocess.run([program], env=environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              errors="replace", timeout=UNIT_LIMIT, check=False)
    except subprocess.TimeoutExpired:
        return [Result("", "broken", f"{program} takes more than {UNIT_LIMIT} s")]
    return results.of_tap(os.path.basename(program), done.stdout, done.returncode)


def run_results(run):
    log = os.path.join(LOGS, run.name + ".log")
    verdict = Result("", "passed")
    try:
        machine.perform(run, log)
    except machine.Failed as error:
        verdict = Result("", "failed", f"{error}\nconsole: {log}")
    except (machine.Broken, OSError) as error:
        verdict = Result("", "broken", str(error))
    if not run.scenarios or verdict.outcome == "broken":
        return [verdict]
    found = scenario_results(run, log)
    # A kernel's run is no test beside its scenarios, unless it ended badly.
    return found if verdict.outcome == "passed" else found + [verdict]


def results_in(name, log):
    with open(log, encoding="latin-1") as f:
        return results.of_kernel(name, f.read())


def scenario_results(run, log):
    found = results_in(run.name, log)
    if run.control:
        bare = log.replace(".log", ".bare.log")
        machine.perform_bare(run, bare)
        results.blame_cpu(found, results_in(run.name, bare), run.excused)
        found.append(difference_result(run))
    return found


def difference_result(run):
    """That nowhere the bare CPU is right and Nestling is not."""
    defects = [str(d) for d in differential.of_run(run) if not d.verdict]
    return Result("bare_cpu_nowhere_right", "failed" if defects else "passed", "\n".join(defects[:20]))


class Program(pytest.Item):
    """One program to run; gives a list of results."""

    def __init__(self, *, function, argument, **rest):
        super().__init__(**rest)
        self.function, self.argument = function, argument
        self.started = None

    def start(self, pool):
        """Queues the program; its results are waited for in pytest's order."""
        self.started = pool.submit(self.timed)

    def timed(self):
        """The results and the seconds they took."""
        begin = time.monotonic()
        try:
            found = self.function(self.argument)
        except Exception as error:  # a defect of the runner must not look like a pass
            found = [Result("", "broken", f"{type(error).__name__}: {error}")]
        return found, time.monotonic() - begin

    def reportinfo(self):
        return self.path, None, self.name


class Programs(pytest.File):
    """tests/guests.cfg stands for all: one file on pytest's command line collects everything."""

    def collect(self):
        def item(name, function, argument):
            return Program.from_parent(self, name=name, function=function, argument=argument)

        group = self.config.getoption("group")
        for command in GUARDS:
            yield item("guard:" + os.path.basename(command.split()[0]), guard_results, command)
        for program in sorted(glob.glob(UNIT_PROGRAMS)):
            if os.access(program, os.X_OK) and "." not in os.path.basename(program):
                yield item("unit:" + os.path.basename(program), unit_results, program)
        for cpu in (*budget.CPUS, budget.PLANE) if group == "test" else ():
            yield item("budget:" + cpu, budget.results, cpu)
        for run in runs.load(str(self.path)):
            if run.group == "check" or run.group == group:
                yield item("run:" + run.name, run_results, run)


def pytest_collect_file(file_path, parent):
    if file_path.name == "guests.cfg":
        return Programs.from_parent(parent, path=file_path)
    return None


def pytest_runtestloop(session):
    session.config.pool = ThreadPoolExecutor(session.config.getoption("jobs"))
    for item in session.items:
        if isinstance(item, Program):
            item.start(session.config.pool)


def pytest_runtest_protocol(item):
    if not isinstance(item, Program):
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    found, seconds = item.started.result()
    for result in found:
        item.ihook.pytest_runtest_logreport(report=report_of(item, result, seconds / len(found)))
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def report_of(item, result, seconds):
    """pytest's form of a result; a failure in "setup" is what pytest counts as error."""
    nodeid = f"{item.nodeid}:{result.name}" if result.name else item.nodeid
    location = (item.location[0], None, nodeid)
    outcome = "failed" if result.outcome == "broken" else result.outcome
    text = result.reason or None
    if outcome == "skipped":
        text = (item.location[0], 0, "Skipped: " + result.reason)
    return pytest.TestReport(nodeid=nodeid, location=location, keywords={}, outcome=outcome,
                             longrepr=text, duration=seconds,
                             when="setup" if result.outcome == "broken" else "call")


def pytest_sessionfinish(session, exitstatus):
    pool = getattr(session.config, "pool", None)
    if pool:
        pool.shutdown(cancel_futures=True)
    counts = totals(session.config)
    if exitstatus == 0 and not counts["passed"]:
        session.exitstatus = 1  # nothing was tested


def totals(config):
    """How many results of each outcome there were."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    stats = reporter.stats if reporter else {}
    names = {"passed": "passed", "failed": "failed", "skipped": "skipped", "broken": "error"}
    return {outcome: len(stats.get(name, ())) for outcome, name in names.items()}


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config):
    if not hasattr(config, "pool"):
        return
    counts = totals(config)
    shown = [o for o in results.OUTCOMES if o != "broken" or counts[o]]
    print(", ".join(f"{counts[outcome]} {outcome}" for outcome in shown))
