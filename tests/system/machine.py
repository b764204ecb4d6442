# SPDX-License-Identifier: MIT
"""tests/system/machine.py - one run: makes the ISO, starts the engine, holds the dialogue.

Touches only files below build/. What a run consists of comes from tests/guests.cfg by runs.py;
what becomes of its outcome is decided by the caller, tests/conftest.py or run.py.
"""
import importlib
import os
import re
import subprocess
import time

import pexpect

import engines
import network
import results
from outcome import Broken, Failed

KERNEL = "build/nestling.elf"

# Any of these on the console ends a run at once; a run that wants one expects it.
FATAL = r"nestling: (?:panic|error): [^\r\n]*|Kernel panic[^\r\n]*"
# L0 says this before it switches the machine off. Without it QEMU's end was a
# reset, which -no-reboot turns into the same exit status 0.
FAREWELL = r"nestling: power off"


def make_iso(run, directory):
    """Builds the run's ISO in directory and returns its path."""
    os.makedirs(directory, exist_ok=True)
    iso = os.path.join(directory, run.name + ".iso")
    modules = dict(run.modules)
    if run.depth > 1:
        modules["nestling.elf"] = KERNEL
    texts = list(run.texts)
    for level, text in enumerate(run.configs() if run.guests else ()):
        texts.append((f"level{level}.cfg" if level else "nestling.cfg", text))
    for name, text in texts:
        modules[name] = os.path.join(directory, f"{run.name}.{name}")
        with open(modules[name], "w", encoding="ascii") as f:
            f.write(text)
    _mkiso(["-o", iso, "-k", KERNEL, "-c", run.options] +
           [f"{name}={path}" for name, path in modules.items()])
    return iso


def make_bare_iso(run, directory):
    """The same with nothing but the run's test kernel."""
    os.makedirs(directory, exist_ok=True)
    iso = os.path.join(directory, run.name + ".bare.iso")
    _mkiso(["-1", "-o", iso, "-k", run.control, "-c", run.words])
    return iso


def _mkiso(arguments):
    made = subprocess.run(["iso/mkiso.sh"] + arguments, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, check=False)
    if made.returncode:
        raise Broken(f"iso/mkiso.sh: {(made.stdout + made.stderr).strip()[-300:]}")


class Console:
    """A machine's console under pexpect; every byte it prints goes to the log as well."""

    def __init__(self, engine, log, limit):
        self.deadline = time.monotonic() + limit
        self.engine = engine
        self.child = engine.child
        self.child.logfile_read = log
        self.last = "the start"
        self.seen = {}

    def wait_for(self, pattern):
        """Reads until pattern has come; the text of the whole match. What its (?P<name>...) is,
        (?P=name) stands for in this pattern and in later ones."""
        for name, text in self.seen.items():
            if f"(?P<{name}>" not in pattern:
                pattern = pattern.replace(f"(?P={name})", re.escape(text))
        # Compiled here, since pexpect would let "." match line ends.
        patterns = [re.compile(pattern), pexpect.EOF, pexpect.TIMEOUT]
        if not re.search(r"nestling: (panic|error)|Kernel panic", pattern):
            patterns.append(re.compile(FATAL))
        left = max(self.deadline - time.monotonic(), 0.1)
        index = self.child.expect(patterns, timeout=left)
        where = f"after {self.last!r}, waiting for {pattern!r}"
        if index == 1:
            raise Failed(f"the machine ended {where}: {self.tail()}")
        if index == 2:
            raise Failed(f"time limit reached {where}; last line: {self.tail()}")
        if index == 3:
            raise Failed(f"{self.child.match.group(0)!r} {where}")
        self.last = pattern
        self.seen.update(self.child.match.groupdict())
        return self.child.match.group(0)

    def tail(self):
        """The last line on the console, for messages."""
        lines = [line for line in (self.child.before or "").splitlines() if line.strip()]
        return lines[-1].strip() if lines else "(nothing)"

    def type(self, keys):
        """Presses the keys."""
        self.child.send(keys)

    def wait_for_end(self):
        """Waits until the machine has switched itself off, as its engine tells it."""
        left = max(self.deadline - time.monotonic(), 0.1)
        if self.child.expect([pexpect.EOF, pexpect.TIMEOUT], timeout=left):
            raise Failed(f"the machine goes on after it should be off: {self.tail()}")
        wrong = self.engine.closed()
        if wrong:
            raise Failed(f"the emulator ended with {wrong}")


def hold_dialogue(run, console):
    """Plays the run's dialogue to its end."""
    for kind, text in run.dialogue:
        if kind == "<":
            console.wait_for(text)
        elif kind == "@":
            getattr(importlib.import_module("plane"), "step_" + text)(run, console)
        else:
            console.type(text + "\r" if kind == ">" else text)
    if run.end == "off":
        console.wait_for(FAREWELL)
        console.wait_for_end()


def perform(run, log_path, echo=None):
    """Does the run. Raises Failed or Broken; the console is in log_path, live on echo."""
    iso = make_iso(run, "build/tests/iso")
    run.ports = run.ports or network.choose_ports(usual=False)
    _attend(run, iso, engines.start, hold_dialogue, log_path, echo)
    with open(log_path, encoding="latin-1") as log:
        defect = results.host_defect(log.read(), [text for kind, text in run.dialogue if kind == "<"],
                                     run.end == "off")
    if defect:
        raise Failed(defect)


def perform_bare(run, log_path):
    """The run's test kernel on the CPU itself, without Nestling; its console is in log_path."""
    iso = make_bare_iso(run, "build/tests/iso") if run.engine == "bochs" else None
    try:
        _attend(run, iso, engines.start_bare, lambda _, console: console.wait_for_end(), log_path)
    except Failed as error:
        raise Broken(f"{run.control} on the bare CPU: {error}") from error


def _attend(run, iso, start, dialogue, log_path, echo=None):
    os.makedirs(os.path.dirname(log_path), exist_ok=True)
    with open(log_path, "w", encoding="latin-1", buffering=1) as log:
        try:
            engine = start(run, iso)
        except (pexpect.ExceptionPexpect, OSError) as error:
            raise Broken(f"cannot start the emulator: {error}") from error
        try:
            dialogue(run, Console(engine, Tee(log, echo) if echo else log, run.limit))
        finally:
            engine.kill()
            if iso:
                os.unlink(iso)


class Tee:
    """Writes to the log and, live, to the terminal."""

    def __init__(self, *files):
        self.files = files

    def write(self, text):
        for file in self.files:
            file.write(text)

    def flush(self):
        for file in self.files:
            file.flush()
