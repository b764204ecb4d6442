# SPDX-License-Identifier: MIT
"""tests/system/machine.py - one QEMU run: makes the ISO, starts QEMU, holds the dialogue.

Touches only files below build/. What a run consists of comes from tests/guests.cfg by runs.py;
what becomes of its outcome is decided by the caller, tests/conftest.py or run.py.
"""
import os
import re
import signal
import subprocess
import time

import pexpect

OVMF = "/usr/share/OVMF/OVMF_{}_4M.fd"
KERNEL = "build/nestling.elf"

# Any of these on the console ends a run at once; a run that wants one expects it.
FATAL = r"nestling: (?:panic|error): [^\r\n]*|Kernel panic[^\r\n]*"
# L0 says this before it switches the machine off. Without it QEMU's end was a
# reset, which -no-reboot turns into the same exit status 0.
FAREWELL = r"nestling: power off"


class Failed(Exception):
    """What ran did not do what it should; the message says where."""


class Broken(Exception):
    """The run itself could not be done; it says nothing about what was to be tested."""


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
    command = ["iso/mkiso.sh", "-o", iso, "-k", KERNEL]
    if run.options:
        command += ["-c", run.options]
    command += [f"{name}={path}" for name, path in modules.items()]
    made = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          check=False)
    if made.returncode:
        raise Broken(f"iso/mkiso.sh: {(made.stdout + made.stderr).strip()[-300:]}")
    return iso


def qemu_command(run, iso):
    """The command line: console on stdio, Ctrl-C for the guest, Ctrl-A X ends QEMU."""
    command = ["qemu-system-x86_64", "-nographic", "-no-reboot", "-net", "none",
               "-accel", run.accel, "-cpu", run.cpu, "-smp", run.smp, "-m", run.memory]
    if run.firmware == "uefi":
        for index, (part, mode) in enumerate((("CODE", "readonly"), ("VARS", "snapshot"))):
            command += ["-drive", f"if=pflash,unit={index},format=raw,{mode}=on,"
                                  f"file={OVMF.format(part)}"]
    if run.media == "usb":
        command += ["-drive", f"if=none,id=stick,format=raw,readonly=on,file={iso}",
                    "-device", "qemu-xhci", "-device", "usb-storage,drive=stick"]
    else:
        command += ["-cdrom", iso]
    return command


def run_bare(run, log_path):
    """The console of the run's test kernel on the CPU itself, without Nestling."""
    command = ["qemu-system-x86_64", "-nographic", "-no-reboot", "-net", "none",
               "-cpu", run.cpu, "-smp", run.smp, "-m", run.memory, "-kernel", run.control]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=run.limit, check=False)
    except subprocess.TimeoutExpired as error:
        raise Broken(f"{run.control} does not end on the bare CPU") from error
    text = done.stdout.decode("latin-1")
    with open(log_path, "w", encoding="latin-1") as log:
        log.write(text)
    return text


class Console:
    """QEMU under pexpect; every byte it prints goes to the log as well."""

    def __init__(self, run, iso, log, limit):
        self.deadline = time.monotonic() + limit
        command = qemu_command(run, iso)
        try:
            self.child = pexpect.spawn(command[0], command[1:], encoding="latin-1",
                                       logfile=None, echo=False, maxread=1 << 16)
        except pexpect.ExceptionPexpect as error:
            raise Broken(f"cannot start QEMU: {error}") from error
        self.child.logfile_read = log
        self.last = "the start of QEMU"
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
            raise Failed(f"QEMU ended {where}: {self.tail()}")
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
        """Waits until QEMU ended by itself, with status 0, after the farewell of L0."""
        self.wait_for(FAREWELL)
        left = max(self.deadline - time.monotonic(), 0.1)
        if self.child.expect([pexpect.EOF, pexpect.TIMEOUT], timeout=left):
            raise Failed(f"QEMU goes on after L0's power off: {self.tail()}")
        self.child.close()
        if self.child.exitstatus != 0:
            raise Failed(f"QEMU ended with status {self.child.exitstatus}, "
                         f"signal {self.child.signalstatus}")

    def kill(self):
        """Ends QEMU whatever it does."""
        if self.child.isalive():
            self.child.kill(signal.SIGKILL)
        self.child.close(force=True)


def hold_dialogue(run, console):
    """Plays the run's dialogue to its end."""
    for kind, text in run.dialogue:
        if kind == "<":
            console.wait_for(text)
        else:
            console.type(text + "\r" if kind == ">" else text)
    if run.end == "off":
        console.wait_for_end()


def perform(run, log_path, echo=None):
    """Does the run. Raises Failed or Broken; the console is in log_path, live on echo."""
    iso = make_iso(run, "build/tests/iso")
    os.makedirs(os.path.dirname(log_path), exist_ok=True)
    with open(log_path, "w", encoding="latin-1", buffering=1) as log:
        console = Console(run, iso, Tee(log, echo) if echo else log, run.limit)
        try:
            hold_dialogue(run, console)
        finally:
            console.kill()
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
