"""SIGHUP: the installed version of warden takes over, with its sockets and sessions; what can't serve changes nothing."""
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import threading
import time

import instance
import pytest
from instance import BIN, Instance, free_port, wait_for
VERSION = subprocess.run([f"{BIN}/warden", "--version"], capture_output=True, timeout=10).stdout.split()[-1]
OTHER = b"7" + VERSION[1:]  # its end may be other strings' end, too


def programs(mx):
    """A directory of programs of the instance's own, as make install leaves one."""
    place = mx.path("libexec")
    shutil.copytree(BIN, place)
    return place


def install(place, name, content):
    """As make install does: by rename, so that what runs keeps its file."""
    with open(f"{place}/{name}.new", "wb") as f:
        f.write(content)
    os.chmod(f"{place}/{name}.new", 0o755)
    os.rename(f"{place}/{name}.new", f"{place}/{name}")


def other_version(place, names=None):
    for name in names or os.listdir(place):
        with open(f"{place}/{name}", "rb") as f:
            install(place, name, f.read().replace(VERSION + b"\0", OTHER + b"\0"))


class Load:
    """Clients that connect one after the other, each with a message, and count what goes wrong."""

    def __init__(self, mx, n=3):
        self.mx, self.accepted, self.wrong, self.over = mx, 0, [], False
        self.threads = [threading.Thread(target=self.run) for _ in range(n)]

    def run(self):
        while not self.over:
            try:
                with self.mx.connect(20) as s:
                    s.ehlo()
                    s.transaction()
                    assert s.data(b"Subject: load\r\n\r\nhello\r\n.\r\n")[0] == 250
                    s.say("QUIT")
                    self.accepted += 1
            except (OSError, AssertionError, EOFError) as e:
                self.wrong.append(repr(e))

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *_):
        self.over = True
        for t in self.threads:
            t.join()


@pytest.fixture
def house(monkeypatch):
    mx = Instance()
    monkeypatch.setattr(instance, "BIN", programs(mx))
    with mx:
        yield mx


def status(mx, service="smtpd"):
    with open(mx.path(f"run/{service}.status")) as f:
        return dict(line.rstrip("\n").split(" ", 1) for line in f)


def reload(mx, *services):
    return mx.postern("reload", "-R", mx.path("run"), *services)


def test_an_upgrade_under_load_refuses_no_connection_and_loses_no_message(house):
    before = house.pids("smtpd")
    with house.connect() as session, Load(house) as load:
        session.ehlo()
        wait_for(lambda: load.accepted > 5)
        other_version(house.path("libexec"))
        r = reload(house, "smtpd")
        assert r.returncode == 0 and OTHER.decode() in r.stdout, r
        after = house.pids("smtpd")
        assert after["warden"] == before["warden"] and not set(list(after.values())[1:]) & set(before.values())
        n = load.accepted
        wait_for(lambda: load.accepted > n + 5)
        session.transaction()
        assert session.data(b"Subject: an old session\r\n\r\nhello\r\n.\r\n")[0] == 250
    assert load.wrong == []
    assert reload(house, "send").returncode == 0
    house.wait_messages(load.accepted + 1)
    assert len(house.mailbox()) == load.accepted + 1
    assert status(house, "send")["version"] == OTHER.decode()


def of_other_items(item):
    """It says its version, confines itself, and ends: its configuration is of another form."""
    def change(program):
        assert b"\0" + item + b"\0" in program
        return program.replace(b"\0" + item + b"\0", b"\0q" + item[1:] + b"\0")
    return change


@pytest.mark.parametrize("what,broken", [
    ("policy", of_other_items(b"databytes")), ("listen", of_other_items(b"concurrencyincoming")), ("smtpd", lambda program: program[:4096]),
    ("warden", lambda program: b"#!/bin/sh\nexit 1\n"),
])
def test_the_old_generation_stays_where_the_new_one_can_not_start(house, what, broken):
    before = house.pids("smtpd")
    place = house.path("libexec")
    with open(f"{place}/{what}", "rb") as f:
        install(place, what, broken(f.read()))
    with Load(house) as load:
        wait_for(lambda: load.accepted > 5)
        r = reload(house, "smtpd")
        assert r.returncode == 111 and "smtpd: not reloaded" in r.stdout, r
        n = load.accepted
        wait_for(lambda: load.accepted > n + 5)
    assert load.wrong == []
    now = house.pids("smtpd")
    assert now == before
    assert "reload-refused" in house.log("smtpd")


def test_a_mix_of_versions_is_refused_and_said(house):
    before = house.pids("smtpd")
    other_version(house.path("libexec"), ["policy"])
    r = reload(house)
    assert r.returncode == 111 and f"policy (Postern) {OTHER.decode()}" in r.stdout and f"version {VERSION.decode()}" in r.stdout, r
    assert house.pids("smtpd") == before
    with house.connect() as s:
        s.ehlo()


def test_what_is_installed_beside_a_running_service_changes_nothing(house):
    """A process that ends is replaced by one of the version that runs, not by the one that was installed meanwhile."""
    before = house.pids("smtpd")
    other_version(house.path("libexec"))
    os.kill(before["policy"], signal.SIGKILL)
    wait_for(lambda: house.pids("smtpd")["policy"] != before["policy"])
    wait_for(house.answers)
    assert status(house)["version"] == VERSION.decode()


def test_control_items_that_the_new_version_refuses_leave_all_as_it_is(house):
    before = house.pids("smtpd")
    house.control("smtpd/databytes", "many")
    r = reload(house, "smtpd")
    assert r.returncode == 111 and "smtpd/databytes" in r.stdout, r
    assert house.pids("smtpd") == before and house.answers()
    house.control("smtpd/databytes", "2000")
    r = reload(house, "smtpd", "nosuch")
    assert r.returncode == 111 and "nosuch" in r.stdout + r.stderr, r
    assert house.pids("smtpd")["policy"] != before["policy"]


class Supervisor:
    """Starts a service again when its warden ends, as runit does."""

    def __init__(self, mx, service):
        self.mx, self.service, self.over = mx, service, False
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.over:
            if self.mx.wardens[self.service].poll() is not None:
                self.mx.start(self.service)
            time.sleep(0.02)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over = True
        self.thread.join()


def test_a_warden_that_can_not_execute_the_next_is_replaced_without_a_connection_refused(house):
    """One of a version that writes no status: its sockets are held while its supervisor starts the next."""
    before = house.pids("smtpd")
    os.unlink(house.path("run/smtpd.status"))
    refused = []

    def connect():
        while not supervisor.over:
            try:
                house.connect(20).socket.close()
            except ConnectionRefusedError as e:
                refused.append(e)

    with Supervisor(house, "smtpd") as supervisor:
        client = threading.Thread(target=connect)
        client.start()
        r = reload(house, "smtpd")
        wait_for(house.answers)
    client.join()
    assert r.returncode == 0 and VERSION.decode() in r.stdout, r
    assert refused == [] and house.pids("smtpd")["warden"] != before["warden"]
    assert not os.path.exists(house.path("run/smtpd.sockets"))


@pytest.mark.parametrize("has_status", [True, False], ids=["signal", "replacement"])
def test_who_has_the_pid_of_a_dead_warden_is_neither_signalled_nor_ended_while_the_next_one_starts(tmp_path, has_status):
    """What a warden left that was killed; its pid is another process's, and the next warden holds the lock but has written nothing."""
    bystander = subprocess.Popen(["sleep", "60"])
    try:
        with open(tmp_path / "smtpd.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            (tmp_path / "smtpd.pids").write_text(f"warden {bystander.pid} 0 0 1 - 0\n")
            if has_status:
                (tmp_path / "smtpd.status").write_text(f"warden {bystander.pid}\nversion 1\nreloads 0\ngeneration 1\nresult ok\nwhy \n")
            r = subprocess.run([f"{BIN}/postern", "reload", "-R", str(tmp_path), "smtpd"], capture_output=True, text=True, timeout=60)
        assert r.returncode == 111 and "does not run" in r.stdout, r
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_what_a_line_of_its_own_said_of_ipv4_is_taken_back_without_losing_ipv4():
    """[::] that was bound beside a line for IPv4 takes no IPv4; one that was bound alone takes both."""
    port = free_port()

    def greets(family, address):
        try:
            with socket.create_connection((address, port), timeout=5) as s:
                return s.recv(100).startswith(b"220 ")
        except OSError:
            return False

    with Instance() as mx:
        with open(mx.path("control/smtpd/listen")) as f:
            base = f.read()

        def listen(*lines):
            mx.control("smtpd/listen", base + "\n".join(lines))
            r = mx.postern("reload", "-R", mx.path("run"), "smtpd")
            assert r.returncode == 0, r.stdout + r.stderr

        for lines in ([f"0.0.0.0:{port}", f"[::]:{port}"], [f"[::]:{port}"], [f"0.0.0.0:{port}", f"[::]:{port}"], [], [f"[::]:{port}"],
                      [f"0.0.0.0:{port}", f"[::]:{port}"], [f"[::]:{port}", f"0.0.0.0:{port}"]):
            listen(*lines)
            assert (greets(socket.AF_INET, "127.0.0.1"), greets(socket.AF_INET6, "::1")) == (bool(lines), bool(lines)), lines
