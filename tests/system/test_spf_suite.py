"""SPF against the test suite of RFC 7208 that Debian's python3-spf brings along."""
import gzip
import ipaddress
import struct
import subprocess

import pytest
import yaml
from instance import BUILD
from peers_rig import unpack

TYPES = {"A": 1, "MX": 15, "TXT": 16, "AAAA": 28}


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    root = str(tmp_path_factory.mktemp("spf"))
    unpack(root, "python3-spf")
    with gzip.open(f"{root}/usr/share/doc/python3-spf/rfc7208-tests.yml.gz", "rt", encoding="utf-8") as f:
        return list(yaml.safe_load_all(f))


def octets(what):
    return (what.encode() if isinstance(what, str) else what).hex() or "-"


def value(kind, v):
    if kind == "TXT":
        return ("".join(v) if isinstance(v, list) else v).encode()
    if kind == "MX":
        return struct.pack(">H", v[0]) + v[1].rstrip(".").encode()
    return ipaddress.ip_address(v).packed


class Zone:
    def __init__(self, data):
        self.data = {}
        for name, records in data.items():
            self.data.setdefault(name.lower().rstrip("."), []).extend(records)

    def records(self, name, hops=0):
        """(type, value) of a name; the suite's type SPF stands for TXT where there is none."""
        mine = [r for r in self.data.get(name, [])]
        pairs = [next(iter(r.items())) for r in mine if isinstance(r, dict)] + [("ANY", "TIMEOUT") for r in mine if r == "TIMEOUT"]
        if not any(kind == "TXT" for kind, _ in pairs):
            pairs = [("TXT" if kind == "SPF" else kind, v) for kind, v in pairs]
        for kind, v in pairs:
            if kind == "CNAME":
                yield from self.records(v.lower().rstrip("."), hops + 1) if hops < 8 else [("ANY", "TIMEOUT")]
            elif kind in (*TYPES, "ANY", "PTR") and v != "NONE":
                yield kind, v

    def lines(self):
        for name in self.data:
            for kind, v in self.records(name):
                if v == "TIMEOUT":
                    yield f"fail {octets(name)} {TYPES.get(kind, 0)}"
                elif kind in TYPES:
                    yield f"record {octets(name)} {TYPES[kind]} {octets(value(kind, v))}"

    def confirmed(self, address):
        for kind, host in self.records(address.reverse_pointer):
            host = host.lower().rstrip(".")
            if kind == "PTR" and any(k in ("A", "AAAA") and ipaddress.ip_address(v) == address for k, v in self.records(host)):
                return host
        return ""


def question(zone, test):
    address = ipaddress.ip_address(test["host"])
    address = getattr(address, "ipv4_mapped", None) or address
    local, _, domain = (test["mailfrom"] or "postmaster@" + test["helo"]).rpartition("@")
    words = [address.packed, local or "postmaster", domain, test["helo"], zone.confirmed(address)]
    return "check " + " ".join(octets(w) for w in words)


def test_every_result_is_one_that_the_suite_wants(suite):
    wrong, n = [], 0
    for part in suite:
        zone = Zone(part.get("zonedata") or {})
        asked = list(part["tests"].items())
        text = "\n".join([*zone.lines(), *(question(zone, t) for _, t in asked)]) + "\n"
        done = subprocess.run([f"{BUILD}/system/spf_answers"], input=text, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        for (name, t), got in zip(asked, done.stdout.split(), strict=True):
            n += 1
            if got not in (t["result"] if isinstance(t["result"], list) else [t["result"]]):
                wrong.append(f"{part['description']}, {name}: {got}, not {t['result']}")
    assert n > 200 and wrong == []
