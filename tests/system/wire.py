# SPDX-License-Identifier: MIT
"""tests/system/wire.py - frames for the card that QEMU's user network cannot carry: what nobody should send (Flood),
and a peer that asks by mDNS and at the IPv6 link-local address (Wire). All ends are on the loopback.
"""
import random
import socket
import struct
import time

from outcome import Failed

GUEST_MAC, GUEST_IP = bytes.fromhex("525400123456"), bytes((10, 0, 2, 15))
GUEST_IP6 = bytes.fromhex("fe80000000000000505400fffe123456")
OUR_MAC, OUR_IP, OUR_IP6 = bytes.fromhex("020000000009"), bytes((10, 0, 2, 9)), b"\xfe\x80" + bytes(13) + b"\x09"
FIN, SYN, PSH, ACK = 1, 2, 8, 16
RATE = 4000  # frames a second


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ipv4(source, protocol, payload):
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 0, 0, 64, protocol, 0, source, GUEST_IP)
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + payload


def tcp(source, port, to, seq, flags, payload=b""):
    head = struct.pack(">HHIIBBHHH", port, to, seq, 0, 0x50, flags, 8192, 0, 0)
    pseudo = source + GUEST_IP + struct.pack(">BBH", 0, 6, len(head) + len(payload))
    return head[:16] + struct.pack(">H", checksum(pseudo + head + payload)) + head[18:] + payload


def ipv6(to, protocol, payload, checksum_at):
    """A packet of ours with the upper checksum made right (RFC 8200 8.1)."""
    pseudo = OUR_IP6 + to + struct.pack(">II", len(payload), protocol)
    payload = payload[:checksum_at] + struct.pack(">H", checksum(pseudo + payload)) + payload[checksum_at + 2:]
    return struct.pack(">IHBB", 0x60000000, len(payload), protocol, 255) + OUR_IP6 + to + payload


def frame6(to, protocol, payload, checksum_at):
    mac = b"\x33\x33" + to[12:] if to[0] == 0xFF else GUEST_MAC
    return mac + OUR_MAC + b"\x86\xdd" + ipv6(to, protocol, payload, checksum_at)


class Flood:
    """Frames to the card from nowhere. QEMU's filter-redirector wants each behind its length. They are reproducible:
    the seed is fixed."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.random = random.Random(7)
        self.sent, self.error = 0, None

    def frame(self, kind, payload):
        source = bytes((2, 0, 0, 0, 0, self.random.randrange(4)))
        return GUEST_MAC + source + struct.pack(">H", kind) + payload

    def attack(self, enough, make):
        """RATE frames a second until `enough`, a threading.Event, is set. What ends it before is in `error`: the rest
        of a frame may be missing then, so that nothing can be sent any more."""
        begin, self.sent = time.monotonic(), 0
        try:
            while not enough.is_set():
                while self.sent < (time.monotonic() - begin) * RATE and not enough.is_set():
                    frame = make()
                    self.socket.sendall(struct.pack(">I", len(frame)) + frame)
                    self.sent += 1
                time.sleep(0.002)
        except Exception as e: # it is a thread of its own: step_flood() looks
            self.error = e

    def syn_flood(self, enough):
        """SYNs from addresses that do not exist, on this network and beyond."""
        def syn():
            source = bytes((10, 0, 2 if self.random.random() < .5 else 3, self.random.randrange(20, 250)))
            to = self.random.choice((80, 2300, 2301, 2302))
            segment = tcp(source, self.random.randrange(1024, 65536), to, self.random.getrandbits(32), 2)
            return self.frame(0x0800, ipv4(source, 6, segment))
        self.attack(enough, syn)

    def random_frames(self, enough):
        """From pure noise to packets with right checksums and wrong contents."""
        def noise():
            r = self.random
            payload = r.randbytes(r.randrange(0, 1500))
            source = bytes((10, 0, 2, r.randrange(2, 250)))
            shape = r.randrange(6)
            if shape == 0:
                return r.randbytes(r.randrange(1, 1514))
            if shape == 1:
                return self.frame(r.choice((0x0800, 0x0806, 0x86DD, 0x8100)), payload)
            if shape == 2:
                return self.frame(0x0800, ipv4(source, r.choice((1, 2, 6, 17)), payload[:1400]))
            if shape == 3:
                flags, to = r.getrandbits(6), r.choice((80, 2300, 2302))
                return self.frame(0x0800, ipv4(source, 6, tcp(source, r.randrange(1024, 2048), to,
                                                              r.getrandbits(32), flags, payload[:r.randrange(1400)])))
            if shape == 4:
                udp = struct.pack(">HHHH", 5353, r.choice((68, 5353)), 8 + len(payload[:1400]), 0) + payload[:1400]
                return self.frame(0x0800, ipv4(source, 17, udp))
            head = struct.pack(">IHBB", 0x60000000, len(payload[:1400]), r.choice((0, 6, 17, 58, 43, 44, 60)), 255)
            target = bytes.fromhex(r.choice(("fe80000000000000505400fffe123456", "ff020000000000000000000000000001",
                                             "ff0200000000000000000000000000fb")))
            return self.frame(0x86DD, head + b"\xfe\x80" + bytes(13) + b"\x09" + target + payload[:1400])
        self.attack(enough, noise)


class Wire:
    """Our end of a wire that nobody else is on. QEMU's `-netdev dgram` takes each UDP datagram for a frame."""

    def __init__(self, port, back):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", back))
        self.socket.connect(("127.0.0.1", port))
        self.random = random.Random(7)

    def ask(self, frame, what, answer, tries=20):
        """Sends the frame, again each half second, until answer(frame received) is true; that is the result."""
        self.socket.settimeout(0.5)
        for _ in range(tries):
            self.socket.send(frame)
            try:
                while True:
                    got = answer(self.socket.recv(2048))
                    if got:
                        return got
            except OSError:
                pass
        raise Failed(f"no answer to {what}")

    def resolve(self, name, kind, by6):
        """The address that mDNS tells for name.local; kind 1: IPv4, 28: IPv6; asked by IPv4 or IPv6."""
        labels = b"".join(bytes((len(label),)) + label for label in (name.encode(), b"local", b""))
        question = struct.pack(">6H", 0, 0, 1, 0, 0, 0) + labels + struct.pack(">HH", kind, 1)
        udp = struct.pack(">HHHH", 5353, 5353, 8 + len(question), 0) + question
        if by6:
            ask = frame6(bytes.fromhex("ff0200000000000000000000000000fb"), 17, udp, 6)
        else:
            packet = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 255, 17, 0, OUR_IP, b"\xe0\0\0\xfb")
            packet = packet[:10] + struct.pack(">H", checksum(packet)) + packet[12:]
            ask = bytes.fromhex("01005e0000fb") + OUR_MAC + b"\x08\0" + packet + udp
        head = struct.pack(">HH", kind, 0x8001)  # the record is ours alone: the cache-flush bit

        def answer(frame):
            at = frame.find(head, 54 if by6 else 34)
            if frame[6:12] != GUEST_MAC or frame[12:14] != (b"\x86\xdd" if by6 else b"\x08\0") or at < 0:
                return None
            size, = struct.unpack_from(">H", frame, at + 8)
            return frame[at + 10:at + 10 + size]
        return self.ask(ask, f"mDNS's question for {name}.local", answer)

    def find_neighbour(self):
        """Its link-layer address by neighbour solicitation (RFC 4861 7.2), which tells ours."""
        to = bytes.fromhex("ff0200000000000000000001ff") + GUEST_IP6[13:]
        ask = struct.pack(">BBHI", 135, 0, 0, 0) + GUEST_IP6 + b"\x01\x01" + OUR_MAC
        return self.ask(frame6(to, 58, ask, 2), "neighbour solicitation", lambda f: f[20:21] == b"\x3a" and
                        f[54:55] == b"\x88" and f[62:78] == GUEST_IP6 and f[80:86])

    def http6(self, path):
        """The whole answer to a GET at the link-local address: a TCP connection that takes what comes in order."""
        if self.find_neighbour() != GUEST_MAC:
            raise Failed("a wrong link-layer address")
        port, seq, expected, text = self.random.randrange(1024, 65536), 1000, 0, b""

        def segment(flags, payload=b""):
            return frame6(GUEST_IP6, 6, struct.pack(">HHIIBBHHH", port, 80, seq, expected, 0x50, flags, 8192, 0, 0)
                          + payload, 16)

        def ours(frame):
            if frame[12:14] != b"\x86\xdd" or frame[20] != 6 or frame[54:58] != struct.pack(">HH", 80, port):
                return None
            length, = struct.unpack_from(">H", frame, 18)
            their_seq, their_ack, offset, flags = struct.unpack_from(">IIBB", frame, 58)
            return their_seq, their_ack, flags, frame[54 + (offset >> 4) * 4:54 + length]
        their_seq, _, flags, _ = self.ask(segment(SYN), "a SYN by IPv6", ours)
        seq, expected = seq + 1, their_seq + 1 & 0xFFFFFFFF
        request = segment(ACK | PSH, f"GET {path} HTTP/1.0\r\n\r\n".encode())
        seq += len(request) - 74
        while not flags & FIN:
            their_seq, _, flags, payload = self.ask(request, f"GET {path} by IPv6", ours)
            in_order = their_seq == expected
            flags &= FIN if in_order else 0
            text += payload if in_order else b""
            expected = expected + (len(payload) + flags if in_order else 0) & 0xFFFFFFFF
            request = segment(ACK)
        self.socket.send(segment(ACK | FIN))
        return text.decode()
