"""Where private keys are, and who may use them: renewal, memory, attempts on the signer, processes that die."""
import array
import hashlib
import os
import random
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
import time

import pytest
from instance import BIN, Instance, wait_for
from tls_rig import Certificates, SecureSession, context, openssl


def is_sanitized():
    with open(f"{BIN}/tls", "rb") as f:
        return b"__asan_init" in f.read()


# a sanitizer catches the signal itself, and maps terabytes
plain_only = pytest.mark.skipif(is_sanitized(), reason="the sanitizers' build")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    c = Certificates(str(tmp_path_factory.mktemp("keys")))
    c.issue("one", kind="rsa")
    c.issue("two", kind="p256")
    c.issue("next", kind="rsa")
    c.issue("old", kind="rsa", days=-1)
    return c


def start(c):
    shutil.copy(c.path("one.pem"), c.path("live.pem"))
    shutil.copy(c.path("one.key"), c.path("live.key"))
    return Instance({"smtpd/variables": [f"CERTFILE={c.path('live.pem')}", f"KEYFILE={c.path('live.key')}"]})


def shake(mx, c):
    with SecureSession(mx).starttls(context(c)) as s:
        assert s.say("EHLO x.test")[0] == 250
        return s.peer()


def reload(mx):
    n = mx.log("smtpd").count("event=generation")
    mx.wardens["smtpd"].send_signal(signal.SIGHUP)
    wait_for(lambda: mx.log("smtpd").count("event=generation") > n, what="a new generation")


def replace(c, certificate, key):
    shutil.copy(c.path(certificate), c.path("live.pem.new"))
    shutil.copy(c.path(key), c.path("live.key.new"))
    os.rename(c.path("live.pem.new"), c.path("live.pem"))
    os.rename(c.path("live.key.new"), c.path("live.key"))


def test_a_renewal_in_the_middle_of_handshakes_fails_none(certificates):
    c, seen, failures = certificates, [], []
    each = 60 if "asan" in BIN else 250  # handshakes before each renewal
    over = threading.Event()
    with start(c) as mx:
        def peer():
            for _ in range(20 * each):
                if over.is_set():
                    return
                try:
                    seen.append(shake(mx, c))
                except Exception as e:
                    failures.append(repr(e))

        peers = [threading.Thread(target=peer) for _ in range(4)]
        for p in peers:
            p.start()
        try:
            for i, name in enumerate(("two", "next", "one")):
                wait_for(lambda: len(seen) + len(failures) >= (i + 1) * each, 60, what="some handshakes more")
                replace(c, name + ".pem", name + ".key")
                reload(mx)
                wait_for(lambda: failures or c.fingerprint(name) in seen[-20:], 60, what=f"a handshake with {name}")
        finally:
            over.set()
            for p in peers:
                p.join()
        assert failures == []
        assert {c.fingerprint(n) for n in ("one", "two", "next")} == set(seen)
        assert shake(mx, c) == c.fingerprint("one")


def test_keys_that_another_user_had_in_a_version_before_stop_no_start(certificates):
    with start(certificates) as mx:
        assert shake(mx, certificates)
        mx.stop("smtpd")
        keys = mx.path("run/smtpd.keys")
        for path in [keys] + [os.path.join(keys, n) for n in os.listdir(keys)]:
            os.chown(path, mx.uid, mx.uid)
        with open(keys + "/left", "w") as f:
            f.write("a key\n")
        for left in [keys + ".old"], []:  # what still has the old ones as its root may read them until the next start
            mx.start("smtpd")
            wait_for(mx.answers, what="a greeting")
            assert shake(mx, certificates)
            assert os.stat(keys).st_uid == mx.users["key-smtpd"] and not os.path.exists(keys + "/left")
            assert [p for p in [keys + ".old"] if os.path.exists(p)] == left
            mx.stop("smtpd")


def test_what_is_no_pair_is_told_and_the_old_one_stays(certificates):
    c = certificates
    with start(c) as mx:
        for certificate, key, words in (("two.pem", "one.key", "does not belong"), ("old.pem", "old.key", "expired"),
                                        ("one.key", "one.key", "no certificate in the file")):
            replace(c, certificate, key)
            reload(mx)
            assert shake(mx, c) == c.fingerprint("one"), words
            log = mx.log("smtpd")
            assert words in log and "certificate-stays" in log and hashlib.sha256(c.fingerprint("one")).hexdigest() in log
        os.unlink(c.path("live.pem"))
        reload(mx)
        assert shake(mx, c) == c.fingerprint("one")


def test_only_a_child_of_keyload_opens_the_key(certificates, tmp_path):
    """By strace of all processes of the service, through whole handshakes."""
    c, trace = certificates, str(tmp_path / "trace")
    with start(c) as mx:
        assert shake(mx, c) == c.fingerprint("one")  # so all of them have started
        pids, kept = mx.pids("smtpd"), os.listdir(mx.path("run/smtpd.keys"))
        assert kept
        # a process that is still starting opens what it confines itself with
        wait_for(lambda: all("Seccomp:\t2" in open(f"/proc/{p}/status").read() for n, p in pids.items() if n != "warden"), what="confinement")
        tracer = subprocess.Popen(["strace", "-f", "-q", "-e", "trace=open,openat,openat2,clone,socket,connect", "-o", trace,
                                   *[w for p in pids.values() for w in ("-p", str(p))]], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_for(lambda: all(f"TracerPid:\t{tracer.pid}" in open(f"/proc/{p}/status").read() for p in pids.values()), what="strace")
            for _ in range(3):
                assert shake(mx, c) == c.fingerprint("one")
        finally:
            tracer.terminate()
            tracer.wait(20)
    with open(trace) as f:
        lines = [line.split(None, 1) for line in f]
    openings = [(int(pid), what) for pid, what in lines if what.startswith("open") and any(k in what for k in kept)]
    forked = {int(m[1]) for pid, what in lines if int(pid) == pids["keyload"] and (m := re.search(r"clone.*= (\d+)", what))}
    assert len(openings) == 3 and len({pid for pid, _ in openings}) == 3, openings
    assert {pid for pid, _ in openings} <= forked and all("O_RDONLY" in what for _, what in openings)
    assert not [what for pid, what in lines if what.startswith(("open", "socket(", "connect")) and int(pid) not in forked]


def test_an_expired_certificate_in_use_is_told_once_a_day(certificates):
    c = certificates
    anyone = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anyone.check_hostname, anyone.verify_mode = False, ssl.CERT_NONE
    with Instance({"smtpd/variables": [f"CERTFILE={c.path('old.pem')}", f"KEYFILE={c.path('old.key')}"]}) as mx:
        for _ in range(3):
            with SecureSession(mx).starttls(anyone) as s:
                assert s.peer() == c.fingerprint("old")
        wait_for(lambda: "event=certificate-expires" in mx.log("smtpd"), what="a line about the end")
        lines = [l for l in mx.log("smtpd").splitlines() if "event=certificate-expires" in l]
        assert len(lines) == 1 and "level=error" in lines[0] and c.path("old.pem") in lines[0], lines


def secrets_of(key):
    """The private numbers of a key file, in the orders in which they could lie in memory."""
    text = openssl("pkey", "-in", key, "-noout", "-text").decode()
    out = []
    for name in ("privateExponent", "prime1", "prime2", "exponent1", "exponent2", "coefficient", "priv"):
        m = re.search(name + r":\n((?:    [0-9a-f:]+\n)+)", text)
        if m:
            number = bytes.fromhex(m[1].replace(":", "").replace(" ", "").replace("\n", "")).lstrip(b"\0")
            out += [number, number[::-1]]
    assert out
    return [n[8:40] if len(n) > 40 else n for n in out]


def holds(pid, needles):
    with open(f"/proc/{pid}/maps") as f:
        ranges = [tuple(int(x, 16) for x in line.split()[0].split("-")) for line in f if " r" in line and "[v" not in line]
    with open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for a, b in ranges:
            try:
                mem.seek(a)
                piece = mem.read(b - a)
            except OSError:
                continue
            if any(n in piece for n in needles):
                return True
    return False


def family(pids):
    """These and all that descend from them."""
    out = set(pids)
    for p in pids:
        try:
            for task in os.listdir(f"/proc/{p}/task"):
                with open(f"/proc/{p}/task/{task}/children") as f:
                    out |= family([int(child) for child in f.read().split()])
        except OSError:
            pass
    return out


@plain_only
def test_code_that_was_put_on_large_pages_can_not_be_written(certificates):
    """lib/sys/code.c copies it while the zygote starts."""
    with start(certificates) as mx:
        for name in ("tls", "keyload"):
            with open(f"/proc/{mx.pids('smtpd')[name]}/maps") as f:
                rights = [line.split()[1] for line in f]
            assert any(r.startswith("r-x") for r in rights)
            assert not [r for r in rights if "w" in r and "x" in r]


@plain_only
def test_no_process_has_the_private_numbers(certificates):
    c = certificates
    needles = secrets_of(c.path("one.key"))
    with open(c.path("one.key"), "rb") as f:
        needles.append(f.read()[200:260])
    with start(c) as mx:
        stop = []

        def busy():
            while not stop:
                shake(mx, c)

        peers = [threading.Thread(target=busy) for _ in range(3)]
        for p in peers:
            p.start()
        found, looked = set(), 0
        for _ in range(3):
            for pid in family([w.pid for w in mx.wardens.values()]):
                try:
                    with open(f"/proc/{pid}/comm") as f:
                        name = f.read().strip()
                    looked += 1
                    if holds(pid, needles):
                        found.add(name)
                except OSError:
                    pass  # it has ended
        stop.append(1)
        for p in peers:
            p.join()
        assert looked > 20
        assert found <= {"keyload"}
        zygote = mx.pids("smtpd")["keyload"]
        time.sleep(0.2)
        assert not holds(zygote, needles)
    assert holds_itself(needles)


def holds_itself(needles):
    """That the search would find them."""
    keep = bytearray(needles[0])
    return holds(os.getpid(), [bytes(keep)])


@plain_only
def test_a_session_killed_ends_alone_and_the_next_generation_is_laid_out_anew(certificates):
    c = certificates
    with start(c) as mx:
        zygote = mx.pids("smtpd")["tls"]
        with SecureSession(mx).starttls(context(c)) as a, SecureSession(mx).starttls(context(c)) as b:
            sessions = sorted(family([zygote]) - {zygote})
            assert len(sessions) == 2
            with open(f"/proc/{zygote}/maps") as f:
                before = f.readline()
            os.kill(sessions[0], signal.SIGSEGV)
            alive = 0
            for s in (a, b):
                try:
                    alive += s.say("EHLO x.test")[0] == 250
                except (OSError, AssertionError):
                    pass
            assert alive == 1
        new = wait_for(lambda: mx.pids("smtpd").get("tls") not in (None, zygote) and mx.pids("smtpd")["tls"], what="another zygote")
        with open(f"/proc/{new}/maps") as f:
            assert f.readline() != before
        assert shake(mx, c) == c.fingerprint("one")


def test_without_keyload_handshakes_fail_with_a_reason_and_recover(certificates):
    c = certificates
    with start(c) as mx:
        os.kill(mx.pids("smtpd")["keyload"], signal.SIGKILL)
        wait_for(lambda: "event=process-started service=smtpd name=keyload" in mx.log("smtpd"), what="another keyload")
        wait_for(lambda: shake(mx, c) == c.fingerprint("one"), what="a handshake")


def test_a_certificate_that_leaves_the_directory_can_be_chosen_by_no_name_any_more(certificates, tmp_path):
    """It may go on as a rule's: then its key must not be had by who asks for a name."""
    c = certificates
    for name in ("one", "two"):
        shutil.copy(c.path(name + ".pem"), tmp_path)
        shutil.copy(c.path(name + ".key"), tmp_path)
    marks = {name: f"name.{spki(c, name).hex()}" for name in ("one", "two")}
    with Instance({"variables": [f"CERTFILE={c.path('live.pem')}", f"KEYFILE={c.path('live.key')}", f"CERTDIR={tmp_path}"]}) as mx:
        keys = mx.path("run/smtpd.keys")
        wait_for(lambda: set(marks.values()) <= set(os.listdir(keys)), 10, "the marks")
        os.unlink(tmp_path / "two.pem")
        for mark in marks.values():
            os.utime(f"{keys}/{mark}", (1, 1))
        reload(mx)
        wait_for(lambda: marks["two"] not in os.listdir(keys), 15, "the end of a mark")
        assert marks["one"] in os.listdir(keys)
        assert spki(c, "two").hex() in os.listdir(keys)  # sessions of older generations may need the key of its certificate


# ---- the signer by itself ----

PK_SIGNER, PK_SIGNER_OF, TK_ASK, TK_SIGNATURE, TK_REFUSED = 0, 1, 0, 1, 2


class Keyload:
    """keyload as warden starts it, with the test in the place of policy and of the engine."""

    def __init__(self, certificates, name):
        self.dir = tempfile.mkdtemp(prefix="pn.", dir="/tmp")
        self.uid = 64030
        os.mkdir(self.dir + "/keys", 0o700)
        self.log = open(self.dir + "/log", "w+b")
        self.certificates = certificates

    def fill(self, instance):
        shutil.copytree(instance.path("run/smtpd.keys"), self.dir + "/keys", dirs_exist_ok=True)
        for base, dirs, files in os.walk(self.dir):
            for f in dirs + files:
                os.chown(os.path.join(base, f), self.uid, self.uid)
        os.chmod(self.dir, 0o755)

    def run(self):
        self.door, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        fd = its.detach()
        self.process = subprocess.Popen([f"{BIN}/keyload", "-n", "test", "-u", str(self.uid), "-g", str(self.uid), "-r", self.dir + "/keys"],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self.log,
                                        preexec_fn=lambda: os.dup2(fd, 3, inheritable=True), close_fds=False)
        os.close(fd)

    def close(self):
        self.door.close()
        self.process.wait(10)
        shutil.rmtree(self.dir)

    def signer(self, role=0, asks=(), certificate=b"", keys=None, by_name=0):
        """Our end of a new signer's channel, on which `asks` wait already."""
        ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for a in asks:
            ask(ours, *a)
        body = struct.pack("=12sBB2xI", b"0123456789a\0", role, by_name, 5000)
        body += certificate if keys is None else b"".join(keys)
        self.door.sendmsg([struct.pack("=HH4xQ", PK_SIGNER if keys is None else PK_SIGNER_OF, len(body), 0) + body],
                          [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [its.fileno()]))])
        its.close()
        ours.settimeout(10)
        return ours

    def text(self):
        with open(self.dir + "/log", "rb") as f:
            return f.read().decode()


def ask(signer, spki, scheme, text):
    body = struct.pack("=32sH6x", spki, scheme) + text
    signer.send(struct.pack("=HH4xQ", TK_ASK, len(body), 7) + body)


def answer(signer):
    packet = signer.recv(8192)
    if not packet:
        return None, b""
    return struct.unpack("=H", packet[:2])[0], packet[16:]


def spki(certificates, name):
    der = openssl("x509", "-in", certificates.path(name + ".pem"), "-noout", "-pubkey")
    return hashlib.sha256(openssl("pkey", "-pubin", "-outform", "DER", text=der)).digest()


@pytest.fixture(scope="module")
def keyload(certificates):
    k = Keyload(certificates, "one")
    with start(certificates) as mx:
        k.fill(mx)
    k.run()
    yield k
    k.close()


GOOD = b" " * 64 + b"TLS 1.3, server CertificateVerify\0" + b"h" * 32
ECDHE = b"r" * 64 + b"\x03\x00\x1d\x20" + b"p" * 32


@pytest.mark.parametrize("scheme,text", [(0x0804, GOOD), (0x0805, GOOD), (0x0401, ECDHE), (0x0804, ECDHE)])
def test_a_handshake_is_signed(keyload, certificates, scheme, text):
    signer = keyload.signer()
    ask(signer, spki(certificates, "one"), scheme, text)
    kind, signature = answer(signer)
    assert kind == TK_SIGNATURE and len(signature) == 256
    assert answer(signer) == (None, b"")  # it has gone
    with tempfile.TemporaryDirectory() as d:
        for name, octets in (("s", signature), ("t", text), ("k", openssl("x509", "-in", certificates.path("one.pem"), "-noout", "-pubkey"))):
            with open(f"{d}/{name}", "wb") as f:
                f.write(octets)
        pss = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"] if scheme >> 8 == 8 else []
        openssl("dgst", "-sha384" if scheme == 0x0805 else "-sha256", "-verify", f"{d}/k", *pss, "-signature", f"{d}/s", f"{d}/t")


@pytest.mark.parametrize("name,text", [
    ("random", random.Random(1).randbytes(130)), ("digest", random.Random(2).randbytes(32)), ("nothing", b""), ("client's", GOOD.replace(b"server", b"client")),
    ("DKIM", b"from:a@b\r\nsubject:x\r\ndkim-signature:v=1; a=rsa-sha256; d=example.test; s=x; h=from; bh=; b="),
    ("certificate", b"\x30\x82\x01\xf0\xa0\x03\x02\x01\x02\x02\x14" + b"x" * 485), ("longer", GOOD + b"x"),
    ("digest info", bytes.fromhex("3031300d060960864801650304020105000420") + b"h" * 32),
])
def test_nothing_else_is(keyload, certificates, name, text):
    before = keyload.text().count("sign-refused")
    signer = keyload.signer()
    ask(signer, spki(certificates, "one"), 0x0804, text)
    kind, reason = answer(signer)
    assert kind == TK_REFUSED and b"nothing that a TLS server signs" in reason
    assert keyload.text().count("sign-refused") == before + 1 and "conn=0123456789a" in keyload.text()


def test_another_keys_certificate_and_another_kinds_scheme_are_refused(keyload, certificates):
    for which, scheme, words in (("two", 0x0403, b"there is no key"), ("one", 0x0403, b"not for a key of kind RSA"), ("one", 0x0401, b"not for a key")):
        signer = keyload.signer()
        ask(signer, spki(certificates, which), scheme, GOOD)
        kind, reason = answer(signer)
        assert kind == TK_REFUSED and words in reason


def test_a_signer_bought_for_one_certificate_signs_for_no_other(keyload, certificates):
    text = GOOD.replace(b"server", b"client")
    live, other = certificates.path("live.pem").encode(), b"/another.pem"
    record = keyload.dir + "/keys/pair." + hashlib.sha256(other).hexdigest()
    with open(record, "wb") as f:
        f.write(spki(certificates, "two") + b"\0" * 8)
    os.chown(record, keyload.uid, keyload.uid)
    signer = keyload.signer(role=1, certificate=live)
    ask(signer, spki(certificates, "one"), 0x0804, text)
    assert answer(signer)[0] == TK_SIGNATURE
    for bought, words in ((other, b"another certificate was shown"), (live + b"x", b"there is no key for"), (b"../" + live, b"there is no key for")):
        signer = keyload.signer(role=1, certificate=bought)
        ask(signer, spki(certificates, "one"), 0x0804, text)
        kind, reason = answer(signer)
        assert kind == TK_REFUSED and words in reason


def test_a_signer_signs_with_the_keys_that_its_connection_may_be_shown(keyload, certificates):
    """policy says which: an engine that was taken over, and asks for another key of the service, gets nothing."""
    one, two = spki(certificates, "one"), spki(certificates, "two")
    chosen = f"{keyload.dir}/keys/name.{one.hex()}"
    cases = [([one], 0, True), ([two, one], 0, True), ([two], 0, False), ([], 0, False), ([one[:31]], 0, False), ([two], 1, False)]
    for keys, by_name, good in cases:
        signer = keyload.signer(keys=keys, by_name=by_name)
        ask(signer, one, 0x0804, GOOD)
        kind, reason = answer(signer)
        assert kind == (TK_SIGNATURE if good else TK_REFUSED), (keys, by_name, reason)
        assert good or b"none of those that this connection may be shown" in reason
    with open(chosen, "wb"):  # as keyring marks those of the directory of certificates
        os.chown(chosen, keyload.uid, keyload.uid)
    for by_name in (0, 1):
        signer = keyload.signer(keys=[two], by_name=by_name)
        ask(signer, one, 0x0804, GOOD)
        assert answer(signer)[0] == (TK_SIGNATURE if by_name else TK_REFUSED)
    os.unlink(chosen)


def test_a_role_signs_only_its_own_texts(keyload, certificates):
    signer = keyload.signer(role=1)
    ask(signer, spki(certificates, "one"), 0x0804, GOOD)
    kind, reason = answer(signer)
    assert kind == TK_REFUSED and b"nothing that a TLS client signs" in reason


def test_one_connection_buys_one_signature(keyload, certificates):
    request = (spki(certificates, "one"), 0x0804, GOOD)
    signer = keyload.signer(asks=[request, request])
    assert answer(signer)[0] == TK_SIGNATURE
    try:
        assert answer(signer) == (None, b"")
    except ConnectionResetError:
        pass  # what was not read
    wait_for(lambda: "a second request on one connection" in keyload.text(), what="the second request in the log")


def test_an_engine_that_sends_garbage_gets_nothing(keyload):
    for packet in (b"", b"x", b"\0" * 8000, struct.pack("=HH4xQ", 1, 0, 0), struct.pack("=HH4xQ", 0, 5000, 0)):
        signer = keyload.signer()
        if packet:
            signer.send(packet)
        else:
            signer.shutdown(socket.SHUT_WR)
        kind, _ = answer(signer)
        assert kind in (None, TK_REFUSED)
    assert keyload.process.poll() is None
