# SPDX-License-Identifier: MIT
"""tests/system/plane.py - the network plane from outside: what "@ NAME" in a dialogue does.

Each step_NAME(run, console) talks to the run's Nestling over QEMU's user network (run.ports: what
is a port of the guest's is which of ours, on the loopback) and raises machine.Failed. Nothing here
looks at the console but by console.wait_for().
"""
import html.parser
import http.client
import json
import random
import re
import socket
import subprocess
import threading
import time

from prometheus_client.parser import text_string_to_metric_families

import wire
from outcome import Failed

TOKEN = "a-token-for-tests"
KERNEL, INITRD = "build/payload/vmlinuz", "build/payload/l1-small.cpio.gz"
GUEST = """guest second
  memory 192M
  image kernel-up
  initrd initrd-up
  cmdline console=ttyS0
  nested on
"""


def check(good, what):
    if not good:
        raise Failed(what)


class Plane:
    """HTTP to one Nestling."""

    def __init__(self, run, token=TOKEN):
        self.port, self.ports, self.token = run.ports[80], run.ports, token

    def request(self, method, path, body=None, token=True, headers=None, timeout=30):
        """(status, headers, body) of one request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        headers = dict(headers or {})
        if token:
            headers["Authorization"] = "Bearer " + (token if isinstance(token, str) else self.token)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise Failed(f"{method} {path}: {type(error).__name__}: {error}") from error
        finally:
            connection.close()

    def get(self, path):
        status, _, body = self.request("GET", path)
        check(status == 200, f"GET {path} answers {status}: {body[:200]}")
        return json.loads(body)

    def do(self, method, path, body=None, want=(200, 201)):
        status, _, answer = self.request(method, path, body)
        check(status in want, f"{method} {path} answers {status}: {answer[:200]}")
        return json.loads(answer)

    def wait(self, seconds=60):
        """Until it answers at all: DHCP takes a moment."""
        end = time.monotonic() + seconds
        while True:
            try:
                return self.get("/api/host")
            except Failed:
                if time.monotonic() > end:
                    raise
                time.sleep(0.5)

    def metrics(self):
        status, _, body = self.request("GET", "/metrics", token=False)
        check(status == 200, f"/metrics answers {status}")
        families = list(text_string_to_metric_families(body.decode()))
        names = [family.name for family in families]
        check(len(names) == len(set(names)), f"/metrics has a family twice: {names}")
        return families

    def counter(self, name, **labels):
        """The sum of the samples of that name that have these labels."""
        return sum(sample.value for family in self.metrics() for sample in family.samples
                   if sample.name == name and labels.items() <= sample.labels.items())


def curl(*arguments):
    done = subprocess.run(["curl", "-sS", "-m", "60", *arguments], capture_output=True, text=True, check=False)
    check(done.returncode == 0, f"curl {arguments[-1]}: {done.stderr}")
    return done.stdout


class Stream(threading.Thread):
    """A guest's console by HTTP, read in the background."""

    def __init__(self, plane, guest):
        super().__init__(daemon=True)
        self.plane, self.guest, self.text, self.ended = plane, guest, "", False
        self.start()

    def run(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.plane.port, timeout=300)
        connection.request("GET", f"/api/guests/{self.guest}/console",
                           headers={"Authorization": "Bearer " + self.plane.token})
        answer = connection.getresponse()
        try:
            while data := answer.read1(65536):
                self.text += data.decode("latin-1")
            self.ended = True
        except (OSError, http.client.HTTPException):
            pass

    def wait_for(self, pattern, seconds=120):
        end = time.monotonic() + seconds
        while not re.search(pattern, self.text):
            check(time.monotonic() < end, f"no {pattern!r} on the console of {self.guest}: {self.text[-300:]!r}")
            time.sleep(0.1)


def tcp_console(plane, port, token=TOKEN):
    s = socket.create_connection(("127.0.0.1", plane.ports[port]), timeout=30)
    read_until(s, b"token: ")
    s.sendall(token.encode() + b"\r\n")
    return s


def read_until(s, text, seconds=30):
    s.settimeout(seconds)
    got = b""
    try:
        while text not in got:
            data = s.recv(4096)
            check(data, f"connection ended before {text!r}: {got[-200:]!r}")
            got += data
    except OSError as error:
        raise Failed(f"no {text!r}: {error}: {got[-200:]!r}") from error
    return got


# --- steps ---

def step_whole(run, console):
    """All that a person does: watch, upload, start, type, destroy; memory is as before."""
    plane = Plane(run)
    host = plane.wait()
    base = f"http://127.0.0.1:{plane.port}"
    check(host["cpus"] == int(run.smp) and host["guests"] == 1, f"odd host: {host}")
    check("np" in host["svm_features"].split(), f"no np in {host['svm_features']}")
    check(json.loads(curl(base + "/api/guests"))[0]["state"] == "running", "the first guest does not run")
    page(plane, curl(base + "/"))
    errors(plane)
    auth = ("-H", "Authorization: Bearer " + TOKEN)
    free = plane.get("/api/host")["memory"]["free"]
    curl(*auth, "-f", "-T", KERNEL, base + "/api/files/kernel-up")
    curl(*auth, "-f", "-T", INITRD, base + "/api/files/initrd-up")
    with open(KERNEL, "rb") as f:
        check(plane.request("GET", "/api/files/kernel-up")[2] == f.read(), "the kernel comes back otherwise")
    curl(*auth, "-f", "--data-binary", GUEST, base + "/api/guests")
    plane.do("DELETE", "/api/files/kernel-up", want=(409,))
    stream = Stream(plane, "second")
    plane.do("POST", "/api/guests/second/start")
    stream.wait_for("L2: hello from level 2")
    stream.wait_for("L1 # ")
    number = plane.get("/api/guests/second")["number"]
    s = tcp_console(plane, 2300 + number)
    s.sendall(b"echo typed-$((6*7))\r\n")
    read_until(s, b"typed-42")
    stream.wait_for("typed-42")
    counters_move(plane, stream)
    monitor(plane)
    plane.do("DELETE", "/api/guests/second")
    read_until(s, b"the guest is gone")
    stream.join(10)
    check(stream.ended, "the console stream goes on without a guest")
    for name in ("kernel-up", "initrd-up"):
        plane.do("DELETE", "/api/files/" + name)
    after = plane.get("/api/host")["memory"]["free"]
    check(after == free, f"{free} bytes were free, now {after}")


def step_small(run, console):
    """The same with a kernel of one page, where a Linux would take too long."""
    plane = Plane(run)
    plane.wait()
    errors(plane)
    free = plane.get("/api/host")["memory"]["free"]
    with open("build/tests/guest/echo.elf", "rb") as f:
        kernel = f.read()
    plane.do("PUT", "/api/files/echo-up", kernel)
    check(plane.request("GET", "/api/files/echo-up")[2] == kernel, "the kernel comes back otherwise")
    plane.do("POST", "/api/guests", b"guest second\n memory 32M\n image echo-up\n")
    stream = Stream(plane, "second")
    plane.do("POST", "/api/guests/second/start")
    stream.wait_for("echo is there")
    plane.do("POST", "/api/guests/second/console", b"typed\r")
    stream.wait_for("echo typed")
    check(plane.counter("nestling_exits_total", guest="second", level="1") > 0, "no exits")
    plane.do("DELETE", "/api/guests/second")
    plane.do("DELETE", "/api/files/echo-up")
    after = plane.get("/api/host")["memory"]["free"]
    check(after == free, f"{free} bytes were free, now {after}")


def errors(plane):
    """Every one has its status, and none touches a guest."""
    before = [guest["state"] for guest in plane.get("/api/guests")]
    for status, method, path, body, token in (
            (401, "DELETE", "/api/guests/linux", None, False),
            (401, "DELETE", "/api/guests/linux", None, "wrong-token"),
            (401, "GET", "/api/guests/linux/console", None, False),
            (401, "PUT", "/api/files/x", b"abc", "a-token-for-testz"),
            (413, "POST", "/api/guests", b"x" * 5000, True),
            (400, "POST", "/api/guests", b"guest linux\n colour blue\n", True),
            (400, "PUT", "/api/files/a b".replace(" ", "%20"), b"abc", True),
            (404, "GET", "/api/nothing", None, True),
            (404, "POST", "/api/guests/nobody/stop", None, True),
            (404, "GET", "/api/files/nothing", None, True),
            (405, "DELETE", "/api/host", None, True)):
        got, _, answer = plane.request(method, path, body, token)
        check(got == status, f"{method} {path} answers {got}, not {status}: {answer[:200]}")
        check(json.loads(answer)["error"], f"{method} {path} says nothing about its {status}")
    check(b" 413 " in raw(plane, b"PUT /api/files/x HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "
                          + TOKEN.encode() + b"\r\nContent-Length: 99999999999\r\n\r\n"), "no 413 for a huge file")
    check(b" 400 " in raw(plane, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n"), "no 400 for garbage")
    check(before == [guest["state"] for guest in plane.get("/api/guests")], "an error touched a guest")


class Page(html.parser.HTMLParser):
    """The tags that are open, the ids, the links and the script of an HTML page."""

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.links, self.script = [], set(), [], ""

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "input"):
            self.open.append(tag)
        for name, value in attrs:
            check(name != "id" or value not in self.ids, f"the page has two {value}")
            self.ids |= {value} if name == "id" else set()
            self.links += [value] if name in ("href", "src") else []

    def handle_endtag(self, tag):
        check(self.open and self.open.pop() == tag, f"the page closes {tag} in the wrong place")

    def handle_data(self, data):
        check(self.open or not data.strip(), f"text outside of the page: {data!r}")
        self.script += data if self.open[-1:] == ["script"] else ""


def page(plane, text):
    """It is HTML, its script finds the elements that it names, and every path in it is one of the API's."""
    parsed = Page()
    check(text.startswith("<!DOCTYPE html>"), "the page has no type")
    parsed.feed(text)
    parsed.close()
    check(not parsed.open, f"the page leaves {parsed.open} open")
    made = set(re.findall(r"id=(\w+)", parsed.script))
    for name in re.findall(r"""(?:\$|\btable)\("(\w+)\"""", parsed.script):
        check(name in parsed.ids | made, f"the script looks for {name}")
    reads = parsed.links + re.findall(r"""["`](/\w[^"`]*)["`]""", parsed.script)
    check(len(reads) >= 10, f"only {reads} on the page")
    for path in reads:
        path = re.sub(r"\$\{(\w+)\}", lambda m: {"shown": "linux", "cursor": "0"}[m[1]], path)
        path += "linux" if path.endswith("/") else ""
        status, _, answer = plane.request("GET", path)
        check(status == 200, f"{path} of the page answers {status}: {answer[:200]}")
    actions, = re.findall(r"for \(const what of (\[.*?\])\)", parsed.script)
    for action in json.loads(actions):
        check(plane.request("POST", f"/api/guests/linux/{action}", token=False)[0] == 401, f"no {action}")
    check(plane.request("DELETE", "/api/guests/linux", token=False)[0] == 401, "no destroy")


def raw(plane, request):
    with socket.create_connection(("127.0.0.1", plane.port), timeout=30) as s:
        s.sendall(request)
        return read_until(s, b"\r\n")


def counters_move(plane, stream):
    """/metrics while the second guest runs L2s."""
    before = plane.counter("nestling_vmruns_total", guest="second")
    exits = plane.counter("nestling_exits_total", guest="second", level="2")
    check(plane.counter("nestling_guest_running", guest="second") == 1, "the second guest does not run")
    stream.text = ""
    plane.do("POST", "/api/guests/second/console", b"l2-hello; echo done-$((1+1))\r")
    stream.wait_for("done-2")
    check(plane.counter("nestling_vmruns_total", guest="second") > before, "VMRUNs do not move")
    check(plane.counter("nestling_exits_total", guest="second", level="2") > exits, "exits of L2 do not move")


def monitor(plane):
    with tcp_console(plane, 2300) as s:
        read_until(s, b"nestling> ")
        s.sendall(b"vms\r\n")
        got = read_until(s, b"memory free")
        check(b"second" in got, f"vms shows no second guest: {got!r}")


def step_slow(run, console):
    """200 slow clients at once: others are answered, the guest and the monitor go on."""
    plane = Plane(run)
    plane.wait()
    clients = []
    for _ in range(200):
        try:
            s = socket.create_connection(("127.0.0.1", plane.port), timeout=5)
            s.sendall(b"GET /api/host HTTP/1.1\r\nHos")
            clients.append(s)
        except OSError:
            pass
    check(len(clients) > 150, f"only {len(clients)} of 200 clients could connect")
    time.sleep(1.5)
    answered = 0
    for _ in range(20):
        try:
            answered += plane.request("GET", "/api/host", timeout=5)[0] == 200
        except Failed:
            pass
    check(answered >= 15, f"only {answered} of 20 requests were answered beside slow clients")
    alive(console, "slow")
    for s in clients:
        s.close()
    plane.wait()


def alive(console, word):
    """The first guest's shell, and the monitor, on the local console."""
    console.type("\x1d" + "1")
    console.type(f"echo {word}-$((40+2))\r")
    console.wait_for(word + "-42")
    console.type("\x1d" + "m")
    console.wait_for("nestling> ")
    console.type("vms\r")
    console.wait_for("memory free")


def step_flood(run, console):
    """A SYN flood, then random frames: the guest's shell and the monitor answer all the time, the plane afterwards."""
    plane = Plane(run)
    plane.wait()
    peer = wire.Flood(run.ports["flood"])
    for attack, seconds in ((peer.syn_flood, run.flood / 2), (peer.random_frames, run.flood)):
        rounds, longest, enough = 0, 0, threading.Event()
        before = plane.counter("nestling_net_received_frames_total")
        begin = time.monotonic()
        flood = threading.Thread(target=attack, args=(enough,), daemon=True)
        flood.start()
        try:
            while not rounds or time.monotonic() < begin + seconds:
                asked = time.monotonic()
                alive(console, f"{attack.__name__.replace('_', '-')}-{rounds}")
                longest = max(longest, time.monotonic() - asked)
                rounds += 1
                time.sleep(1)
        finally:
            took = time.monotonic() - begin
            enough.set()
            flood.join()
        check(not peer.error, f"the flood ended: {peer.error}")
        plane.wait(30)
        taken = plane.counter("nestling_net_received_frames_total") - before
        print(f"\n{run.name}: {attack.__name__}: {peer.sent} frames in {took:.0f} s, {taken:.0f} of them taken, "
              f"guest and monitor answered {rounds} times, after {longest:.1f} s at most", flush=True)
        check(peer.sent > wire.RATE * took / 2, f"only {peer.sent} frames were sent")
        check(taken > peer.sent / 10, f"the flood did not arrive: {taken:.0f} frames were taken")
        check(longest < 30, f"guest and monitor answered after {longest:.0f} s")
    # A connection and an upload, as ever.
    body = random.randbytes(300000)
    plane.do("PUT", "/api/files/after", body)
    check(plane.request("GET", "/api/files/after")[2] == body, "a file comes back otherwise")
    plane.do("DELETE", "/api/files/after")


def step_full(run, console):
    """Uploads take all memory that they get: a guest that runs goes on and starts anew, and the monitor answers."""
    plane = Plane(run)
    plane.wait()
    before = plane.get("/api/host")["memory"]["free"]
    with open("build/tests/guest/echo.elf", "rb") as f:
        plane.do("PUT", "/api/files/echo-up", f.read())
    plane.do("POST", "/api/guests", b"guest second\n memory 32M\n image echo-up\n")
    stream = Stream(plane, "second")
    plane.do("POST", "/api/guests/second/start")
    stream.wait_for("echo is there")
    for mib in range(plane.get("/api/host")["memory"]["free"] >> 20, 0, -2):  # most of it goes fast so
        if plane.request("POST", "/api/guests", f"guest large\n memory {mib}M\n image echo-up\n")[0] == 201:
            break
    stored = 0
    for size in (4 << 20, 1 << 20, 256 << 10, 64 << 10, 16 << 10, 4 << 10):
        while (got := plane.request("PUT", f"/api/files/f{stored}", bytes(size))[0]) == 201:
            stored += 1
        check(got == 413, f"an upload of {size} bytes without room answers {got}")
    free = plane.get("/api/host")["memory"]["free"]
    print(f"\n{run.name}: {stored} files, {free >> 10} KiB stay free", flush=True)
    check(stored < 31 and free < 2 << 20, f"memory is not full: {stored} files, {free} bytes are free")
    plane.do("POST", "/api/guests/second/console", b"typed\r")
    stream.wait_for("echo typed")
    stream.text = ""
    plane.do("POST", "/api/guests/second/reset")
    stream.wait_for("echo is there")
    for _ in range(2):
        monitor(plane)
    for guest in ("large", "second"):
        plane.do("DELETE", "/api/guests/" + guest)
    for name in ["echo-up"] + [f"f{n}" for n in range(stored)]:
        plane.do("DELETE", "/api/files/" + name)
    after = plane.get("/api/host")["memory"]["free"]
    check(after == before, f"{before} bytes were free, now {after}")


def step_wire(run, console):
    """What only a peer on the same wire can ask for: the name by mDNS, HTTP at the IPv6 link-local address; and a
    cable that is pulled and put back."""
    peer = wire.Wire(run.ports["wire"], run.ports["wire-back"])

    def host():
        head, body = peer.http6("/api/host").split("\r\n\r\n", 1)
        check(head.startswith("HTTP/1.1 200 "), f"no 200 by IPv6: {head}")
        return json.loads(body)["net"]
    state = host()
    check(state["link"] is True and state["address"] == "10.0.2.15", f"odd network state: {state}")
    for kind, address in ((1, wire.GUEST_IP), (28, wire.GUEST_IP6)):
        for by6 in (False, True):
            got = peer.resolve(state["host"], kind, by6)
            check(got == address, f"mDNS tells {got.hex()} for {state['host']}")
    console.type("\x01cset_link card off\r\x01c")  # QEMU's own monitor
    console.wait_for("net: the link is down")
    console.type("\x01cset_link card on\r\x01c")
    console.wait_for("net: the link is up")
    check(host()["link"] is True, "the link is not shown")


def step_speed(run, console):
    """Small requests, and the 64 MiB download against Linux on the same card (speed.py)."""
    import speed
    speed.measure(run, Plane(run))
