# SPDX-License-Identifier: MIT
"""tests/system/speed.py - how fast the network plane is, beside Linux on the same emulated card.

Small requests are timed one by one. The download of 64 MiB is done twice: from Nestling, and from
busybox's httpd in a Linux that QEMU boots directly, with the same kind of card and network. Both
machines are there all the time and take turns, so that what else runs here hinders both alike;
the best of each counts.
"""
import contextlib
import os
import random
import socket
import subprocess
import threading
import time

from outcome import Failed

SIZE = 64 << 20
REQUESTS, PARALLEL = 2000, 4
DOWNLOADS = 4
LINUX = ("build/payload/vmlinuz", "build/payload/net-linux.cpio.gz")


def head_of(s):
    got = b""
    while b"\r\n\r\n" not in got:
        data = s.recv(65536)
        if not data:
            raise Failed(f"connection ended in an answer: {got!r}")
        got += data
    return got.split(b"\r\n\r\n", 1)


def one(s, keep):
    s.sendall(b"GET /api/guests HTTP/1.1\r\nHost: x\r\n" + (b"" if keep else b"Connection: close\r\n") + b"\r\n")
    head, body = head_of(s)
    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    while len(body) < length:
        body += s.recv(65536)
    return b" 200 " in head


def requests(port, keep):
    """(requests per second, 99th percentile in ms)."""
    times, failures = [], []

    def client():
        s = None
        for _ in range(REQUESTS // PARALLEL):
            begin = time.perf_counter()
            if not s:
                s = socket.create_connection(("127.0.0.1", port), timeout=20)
            if not one(s, keep):
                failures.append(1)
            times.append(time.perf_counter() - begin)
            if not keep:
                s.close()
                s = None

    begin = time.perf_counter()
    threads = [threading.Thread(target=client) for _ in range(PARALLEL)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - begin
    if failures or len(times) != REQUESTS:
        raise Failed(f"{len(times)} of {REQUESTS} small requests were answered, {len(failures)} of them not by 200")
    times.sort()
    return REQUESTS / took, times[int(REQUESTS * .99)] * 1000


def download(port, path, token=None):
    """Bytes per second."""
    with socket.create_connection(("127.0.0.1", port), timeout=120) as s:
        auth = f"Authorization: Bearer {token}\r\n" if token else ""
        begin = time.perf_counter()
        s.sendall(f"GET {path} HTTP/1.0\r\nHost: x\r\n{auth}\r\n".encode())
        got = len(head_of(s)[1])
        while data := s.recv(1 << 20):
            got += len(data)
        if got != SIZE:
            raise Failed(f"{got} bytes came instead of {SIZE}")
        return SIZE / (time.perf_counter() - begin)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@contextlib.contextmanager
def linux(run):
    """The port of a Linux of its own, without Nestling in between, that serves /body."""
    port = free_port()
    command = ["qemu-system-x86_64", "-nographic", "-no-reboot", "-accel", run.accel, "-cpu", run.cpu,
               "-smp", run.smp, "-m", "512M", "-kernel", LINUX[0], "-initrd", LINUX[1],
               "-append", f"console=ttyS0 quiet nestling.size={SIZE}",
               "-netdev", f"user,id=net0,hostfwd=tcp:127.0.0.1:{port}-:80",
               "-device", f"{run.net},netdev=net0"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as qemu:
        try:
            end = time.monotonic() + 120
            while True:
                try:
                    download(port, "/body")
                    break
                except (OSError, Failed):
                    if time.monotonic() > end:
                        raise
                    time.sleep(1)
            yield port
        finally:
            qemu.kill()


def downloads(run, plane):
    """(Nestling, Linux) in bytes per second."""
    plane.do("PUT", "/api/files/body", random.randbytes(SIZE))
    ours, theirs = [], []
    with linux(run) as port:
        for _ in range(DOWNLOADS):
            ours.append(download(plane.port, "/api/files/body", plane.token))
            theirs.append(download(port, "/body"))
    plane.do("DELETE", "/api/files/body")
    return max(ours), max(theirs)


def measure(run, plane):
    plane.wait()
    report = []
    for keep in (True, False):
        rate, p99 = requests(plane.port, keep)
        report.append(f"{'one connection' if keep else 'a connection each'}: {rate:.0f} requests/s, p99 {p99:.1f} ms")
        if rate < 500 or p99 >= 50:
            raise Failed("small requests are slow: " + report[-1])
    ours, theirs = downloads(run, plane)
    report.append(f"64 MiB: {ours / 1e6:.1f} MB/s, Linux {theirs / 1e6:.1f} MB/s, ratio {ours / theirs:.2f}")
    text = "\n".join(f"{run.name}: {line}" for line in report)
    print("\n" + text, flush=True)
    os.makedirs("build/tests/logs", exist_ok=True)
    with open(f"build/tests/logs/{run.name}.speed", "w", encoding="ascii") as f:
        f.write(text + "\n")
    if ours < theirs / 2:
        raise Failed(report[-1])
