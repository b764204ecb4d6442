# SPDX-License-Identifier: MIT
"""tests/system/wire.py - a peer on QEMU's virtual wire that sends what nobody should.

QEMU's `-netdev dgram` takes each UDP datagram for a frame; both ends are on the loopback. The
frames are random but reproducible: the seed is fixed.
"""
import random
import socket
import struct
import time

GUEST_MAC, GUEST_IP = bytes.fromhex("525400123456"), bytes((10, 0, 2, 15))
RATE = 4000  # frames a second: more only fills QEMU's socket


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


class Wire:
    """Our end of the wire."""

    def __init__(self, port, back):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", back))
        self.socket.connect(("127.0.0.1", port))
        self.random = random.Random(7)
        self.sent = 0

    def frame(self, kind, payload):
        source = bytes((2, 0, 0, 0, 0, self.random.randrange(4)))
        return GUEST_MAC + source + struct.pack(">H", kind) + payload

    def attack(self, enough, make):
        """RATE frames a second until `enough`, a threading.Event, is set."""
        begin, self.sent = time.monotonic(), 0
        while not enough.is_set():
            for _ in range(int((time.monotonic() - begin) * RATE) - self.sent):
                try:
                    self.socket.send(make())
                except OSError:
                    pass  # QEMU's end is full
                self.sent += 1
            time.sleep(0.002)

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
