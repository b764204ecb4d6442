# SPDX-License-Identifier: MIT
"""tests/system/network.py - the network that a run's machine is on, and where it ends on our loopback."""
import contextlib
import socket

# Ports of the network plane, and where people find them on the loopback; tests take any.
PORTS = {80: 8080, 2300: 2300, 2301: 2301, 2302: 2302}


def choose_ports(usual):
    """Ports of ours that are free, for each one of the plane, two for the wire, and one for a flood."""
    ports = {}
    with contextlib.ExitStack() as held:  # all at once, so that none is chosen twice
        for name in (*PORTS, "flood", "wire", "wire-back"):
            kind = socket.SOCK_DGRAM if name in ("wire", "wire-back") else socket.SOCK_STREAM
            s = held.enter_context(socket.socket(socket.AF_INET, kind))
            try:
                s.bind(("127.0.0.1", PORTS.get(name, 0) if usual else 0))
            except OSError:
                s.bind(("127.0.0.1", 0))
            ports[name] = s.getsockname()[1]
    return ports


def qemu_options(run):
    """QEMU's side of `net`: a user network; with `flood` a socket whose frames go to the card beside it; with `peer` a
    wire that a peer of ours is on alone.

    The user network must not be told of a flood: it opens a socket of the host's for each SYN that it sees, and QEMU,
    which looks at all of them at each turn of its main loop, then hardly lets the CPUs run (docs/engines.md)."""
    if not run.net:
        return ["-net", "none"]
    card, *more = run.net.split()
    if more == ["peer"]:
        return ["-netdev", f"dgram,id=wire,local.type=inet,local.host=127.0.0.1,local.port={run.ports['wire']},"
                           f"remote.type=inet,remote.host=127.0.0.1,remote.port={run.ports['wire-back']}",
                "-device", f"{card},netdev=wire,id=card"]
    forward = "".join(f",hostfwd=tcp:127.0.0.1:{run.ports[port]}-:{port}" for port in PORTS)
    command = ["-netdev", "user,id=net0" + forward, "-device", f"{card},netdev=net0"]
    if more == ["flood"]:
        command += ["-chardev", f"socket,id=flood,host=127.0.0.1,port={run.ports['flood']},server=on,wait=off",
                    "-object", "filter-redirector,id=redirector,netdev=net0,queue=tx,indev=flood"]
    return command


def bochs_options(run, config):
    """The same for Bochs, which wants a file; there is no wire to be on."""
    with open(config, "w", encoding="ascii") as f:
        f.write("# slirp config\n")
        for port in PORTS:
            f.write(f"hostfwd = tcp:127.0.0.1:{run.ports[port]}-10.0.2.15:{port}\n")
    return (f"pci: enabled=1, chipset=i440fx, slot1={run.net}\n"
            f"{run.net}: enabled=1, mac=52:54:00:12:34:56, ethmod=slirp, script={config}\n")
