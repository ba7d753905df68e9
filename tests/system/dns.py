"""A name server for tests: answers from a table, on a loopback port, over UDP; and does what it is told to do wrong."""
import ipaddress
import socket
import struct
import threading

TYPES = {"A": 1, "CNAME": 5, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28}


def name(text):
    out = b""
    for label in text.rstrip(".").split("."):
        if label:
            out += bytes([len(label)]) + label.encode()
    return out + b"\0"


def data(kind, value):
    if kind == "A":
        return ipaddress.IPv4Address(value).packed
    if kind == "AAAA":
        return ipaddress.IPv6Address(value).packed
    if kind == "TXT":
        return bytes([len(value)]) + value.encode()
    if kind == "MX":
        preference, host = value.split()
        return struct.pack(">H", int(preference)) + name(host)
    return name(value)


class Server(threading.Thread):
    """records: {("host.test", "A"): ["192.0.2.1"]}. A value of None: never answer. Names that are in no record: NXDOMAIN."""

    def __init__(self, records):
        super().__init__(daemon=True)
        self.records = {(n.lower().rstrip("."), TYPES[k]): (k, v) for (n, k), v in records.items()}
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.asked = []
        self.start()

    def answer(self, packet):
        at, labels = 12, []
        while packet[at]:
            labels.append(packet[at + 1 : at + 1 + packet[at]].decode("latin-1").lower())
            at += packet[at] + 1
        kind = struct.unpack(">H", packet[at + 1 : at + 3])[0]
        question = packet[12 : at + 5]
        asked = ".".join(labels)
        self.asked.append((asked, kind))
        found = self.records.get((asked, kind))
        known = found or any(n == asked or n.endswith("." + asked) for n, _ in self.records)
        if found and found[1] is None:
            return None
        answers = b""
        for value in found[1] if found else []:
            rdata = data(found[0], value)
            answers += b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 60, len(rdata)) + rdata
        count = len(found[1]) if found else 0
        return packet[:2] + struct.pack(">HHHHH", 0x8180 | (0 if known else 3), 1, count, 0, 0) + question + answers

    def run(self):
        while True:
            try:
                packet, peer = self.socket.recvfrom(4096)
                reply = self.answer(packet)
                if reply:
                    self.socket.sendto(reply, peer)
            except OSError:
                return
            except (IndexError, struct.error):
                continue

    def close(self):
        self.socket.close()
