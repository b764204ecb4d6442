# SPDX-License-Identifier: MIT
"""tests/system/engines.py - the emulators that runs take place in: how each is started and ended.

An engine gives a pexpect child whose text is the machine's serial console, and knows what its
program says when the machine was switched off. Chosen by `engine` of tests/guests.cfg; used by
machine.py alone. What each emulates wrongly: docs/engines.md.
"""
import os
import pty
import signal
import subprocess
import time

import pexpect
import pexpect.fdpexpect

import network

OVMF = "/usr/share/OVMF/OVMF_{}_4M.fd"
BOCHS_FILES = "build/tests/bochs"

GO_ONS = 100000

# Seconds that QEMU may take to go when its console has ended.
CLOSING = 30

BOCHS_RC = """\
cpu: model={run.cpu}, count={run.smp}, ips=50000000, reset_on_triple_fault=0, ignore_bad_msrs=0
memory: guest={megabytes}, host={host}
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/vgabios/vgabios.bin
ata0-master: type=cdrom, path={iso}, status=inserted
boot: cdrom
com1: enabled=1, mode=term, dev={console}
log: {log}
panic: action=report{all_cpus}
error: action=ignore{ignore_cpus}
info: action=ignore
display_library: rfb, options="timeout=0"
clock: sync=none
speaker: enabled=0
sound: waveoutdrv=dummy, waveindrv=dummy, midioutdrv=dummy
"""


class Qemu:
    """QEMU: its console on stdio."""

    def __init__(self, command):
        self.child = pexpect.spawn(command[0], command[1:], encoding="latin-1", echo=False,
                                   maxread=1 << 16)

    @staticmethod
    def command(run, iso):
        """The command line: console on stdio, Ctrl-C for the guest, Ctrl-A X ends QEMU."""
        command = Qemu._machine(run) + ["-accel", run.accel]
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

    @staticmethod
    def kernel_command(run):
        """The same machine, with the run's test kernel alone in it."""
        return Qemu._machine(run) + ["-kernel", run.control, "-append", run.words]

    @staticmethod
    def _machine(run):
        return ["qemu-system-x86_64", "-nographic", "-no-reboot", *network.qemu_options(run),
                "-cpu", run.cpu, "-smp", run.smp, "-m", run.memory]

    def closed(self):
        """After the end of its console: what is wrong with how it ended, or nothing."""
        patience = time.monotonic() + CLOSING
        while self.child.isalive() and time.monotonic() < patience:
            time.sleep(0.05) # it gives gigabytes back, which takes a moment on a busy machine
        if self.child.isalive():
            self.kill()
            return f"its console has ended, but not QEMU within {CLOSING} s"
        self.child.close()
        if self.child.exitstatus == 0:
            return ""
        return f"status {self.child.exitstatus}, signal {self.child.signalstatus}"

    def kill(self):
        """Ends QEMU whatever it does."""
        if self.child.isalive():
            self.child.kill(signal.SIGKILL)
        self.child.close(force=True)


class Bochs:
    """Bochs: its console is a terminal of ours; what it says itself goes to BOCHS_FILES.

    Debian's Bochs has the debugger built in, which is told to go on ("c") at the start and
    whenever it has stopped at a shutdown of a guest.
    """

    def __init__(self, run, iso):
        os.makedirs(BOCHS_FILES, exist_ok=True)
        stem = os.path.join(BOCHS_FILES, os.path.basename(iso)[:-len(".iso")])
        self.output = stem + ".out"
        ours, theirs = pty.openpty()
        try:
            self._write_files(run, iso, stem, os.ttyname(theirs))
            # Bochs holds the terminal as long as it lives, so that its end is the console's.
            with open(self.output, "wb") as output:
                self.program = subprocess.Popen(
                    ["bochs", "-q", "-f", stem + ".rc", "-rc", stem + ".go"],
                    stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT,
                    pass_fds=(theirs,))
        except OSError:
            os.close(ours)
            raise
        finally:
            os.close(theirs)
        self.child = pexpect.fdpexpect.fdspawn(ours, encoding="latin-1", maxread=1 << 16)

    @staticmethod
    def _write_files(run, iso, stem, console):
        cpus = range(int(run.smp))
        megabytes = run.megabytes()
        text = BOCHS_RC.format(run=run, iso=iso, console=console, log=stem + ".log",
                               megabytes=megabytes, host=min(megabytes, 1024),
                               all_cpus="".join(f", cpu{n}=report" for n in cpus),
                               ignore_cpus="".join(f", cpu{n}=ignore" for n in cpus))
        if run.net:
            text += network.bochs_options(run, stem + ".slirp")
        with open(stem + ".rc", "w", encoding="ascii") as rc:
            rc.write(text)
        with open(stem + ".go", "w", encoding="ascii") as go:
            go.write("c\n" * GO_ONS)

    def closed(self):
        """After the end of its console: what is wrong with how it ended, or nothing."""
        status = self.program.wait()
        self.kill()
        with open(self.output, encoding="latin-1") as output:
            said = output.read()
        # It calls every end an error, a power off as well.
        if status == 1 and "ACPI control: soft power off" in said:
            return ""
        return f"status {status}; see {self.output}"

    def kill(self):
        """Ends Bochs whatever it does."""
        self.program.kill()
        self.program.wait()
        self.program.stdin.close()
        self.child.close()


def start(run, iso):
    """Starts the run's engine with that CD."""
    return Bochs(run, iso) if run.engine == "bochs" else Qemu(Qemu.command(run, iso))


def start_bare(run, iso):
    """Starts it with nothing but the run's test kernel; iso is a CD with it, for Bochs."""
    return Bochs(run, iso) if run.engine == "bochs" else Qemu(Qemu.kernel_command(run))
