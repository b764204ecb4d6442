# SPDX-License-Identifier: MIT
"""tests/system/network.py - the network that a run's machine is on, and where it ends on our loopback."""
import contextlib
import socket

# Ports of the network plane, and where people find them on the loopback; tests take any.
PORTS = {80: 8080, 2300: 2300, 2301: 2301, 2302: 2302}


def choose_ports(usual):
    """Ports of ours that are free, for each one of the plane, and two for the wire."""
    ports = {}
    with contextlib.ExitStack() as held:  # all at once, so that none is chosen twice
        for name in (*PORTS, "wire", "wire-back"):
            kind = socket.SOCK_STREAM if name in PORTS else socket.SOCK_DGRAM
            s = held.enter_context(socket.socket(socket.AF_INET, kind))
            try:
                s.bind(("127.0.0.1", PORTS.get(name, 0) if usual else 0))
            except OSError:
                s.bind(("127.0.0.1", 0))
            ports[name] = s.getsockname()[1]
    return ports


def qemu_options(run):
    """QEMU's side of `net`: a user network; with `wire` a hub that a peer of ours is on, too; with `peer` that alone."""
    if not run.net:
        return ["-net", "none"]
    card, *wire = run.net.split()
    forward = "".join(f",hostfwd=tcp:127.0.0.1:{run.ports[port]}-:{port}" for port in PORTS)
    command = ["-netdev", "user,id=net0" + forward]
    if not wire:
        return command + ["-device", f"{card},netdev=net0"]
    peer = ["-netdev", f"dgram,id=wire,local.type=inet,local.host=127.0.0.1,local.port={run.ports['wire']},"
                       f"remote.type=inet,remote.host=127.0.0.1,remote.port={run.ports['wire-back']}"]
    if wire == ["peer"]:
        return peer + ["-device", f"{card},netdev=wire,id=card"]
    return command + peer + [
        "-netdev", "hubport,id=h0,hubid=0,netdev=net0", "-netdev", "hubport,id=h1,hubid=0,netdev=wire",
        "-netdev", "hubport,id=h2,hubid=0", "-device", f"{card},netdev=h2"]


def bochs_options(run, config):
    """The same for Bochs, which wants a file; there is no wire to be on."""
    with open(config, "w", encoding="ascii") as f:
        f.write("# slirp config\n")
        for port in PORTS:
            f.write(f"hostfwd = tcp:127.0.0.1:{run.ports[port]}-10.0.2.15:{port}\n")
    return (f"pci: enabled=1, chipset=i440fx, slot1={run.net}\n"
            f"{run.net}: enabled=1, mac=52:54:00:12:34:56, ethmod=slirp, script={config}\n")
