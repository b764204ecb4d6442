#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""tests/system/run.py RUN LOG [WORD=VALUE]... - `make run`: does one run of tests/guests.cfg for a person.

Each {WORD} in the run's guests stands for its VALUE.
On a terminal the console is the person's own: QEMU replaces this program. Without one the
run's dialogue is held, the console is kept in LOG, and the exit status says whether it went
as it should; if not, the last line says where.
"""
import os
import sys

import machine
import network
import runs
from engines import Qemu

URL = ("Network plane: http://127.0.0.1:{p80}/ (monitor: telnet 127.0.0.1 {p2300}, first guest: {p2301}); "
       "the token is on the console.")
HELP = "Ctrl-A X ends QEMU; every other key goes to the console."


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    name, log, *words = sys.argv[1:]
    try:
        run = runs.find(name)
        run.ports = network.choose_ports(usual=True)
        if run.net:
            print(URL.format(**{f"p{port}": ours for port, ours in run.ports.items()}), flush=True)
        for word, _, value in (pair.partition("=") for pair in words):
            run.guests = run.guests.replace("{" + word + "}", value)
        if sys.stdin.isatty():
            iso = machine.make_iso(run, "build")
            print(HELP, flush=True)
            command = Qemu.command(run, iso)
            os.execvp(command[0], command)
        machine.perform(run, log, echo=sys.stdout)
    except (runs.ConfigError, machine.Failed, machine.Broken, OSError) as error:
        sys.exit(f"\nnestling: error: {name}: {error}; the console is in {log}")
    print(f"\n{name}: all that was expected came; the console is in {log}")


if __name__ == "__main__":
    main()
