"""What a process taken over can do to its neighbours: nonsense on each edge of the plan. A receiver may end the conversation;
it never dies of a signal, never keeps the descriptors, and goes on with everybody else where there is somebody else.

The test has all other ends: it starts one process at a time, and ends only what it started."""
import fcntl, os, random, re, shutil, signal, socket, struct, subprocess, sys, tempfile, time

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import drill

PLAN = drill.plan()
MAY = {p['process']: p for p in PLAN['processes']}
MESSAGE_MAX = 8192


def head(kind, length, ref=1):
    return struct.pack('<HH4xQ', kind, length, ref)


def nonsense(messages, receiver):
    """(what, packet, number of descriptors): what a sender gone mad may send to the receiver."""
    rnd = random.Random(1)
    ours = [m for m in messages if m['sender'] != receiver]
    theirs = [m for m in messages if m['sender'] == receiver]
    yield 'nothing', b'', 0
    yield 'nothing but descriptors', b'', 4
    for n in (1, 15, 16, 64, MESSAGE_MAX, MESSAGE_MAX + 1, 60000):
        yield '%d random octets' % n, rnd.randbytes(n), 0
    for kind in (len(messages), 63, 64, 65535):
        yield 'unknown message %d' % kind, head(kind, 0), 0
    for m in theirs:
        yield 'its own ' + m['message'], head(m['number'], m['body']) + bytes(m['body']), m['descriptors']
    for m in ours:
        name, kind, body, fds = m['message'], m['number'], m['body'], m['descriptors']
        yield name + ' too short', head(kind, max(body - 1, 0)) + bytes(max(body - 1, 0)), fds
        yield name + ' that lies about its length', head(kind, body + 1) + bytes(body), fds
        yield name + ' with too long a tail', head(kind, body + m['tail'] + 1) + bytes(body + m['tail'] + 1), fds
        yield name + ' with a descriptor too many', head(kind, body) + bytes(body), fds + 1
        yield name + ' with 253 descriptors', head(kind, body) + bytes(body), 253
        if fds:
            yield name + ' without its descriptor', head(kind, body) + bytes(body), 0
        yield name + ' of zeros', head(kind, body) + bytes(body), fds
        yield name + ' of ones', head(kind, body) + b'\xff' * body, fds
        yield name + ' with a tail of ones', head(kind, body + min(m['tail'], 300)) + bytes(body) + b'\xff' * min(m['tail'], 300), fds


def cdb(name, records):
    """A sealed memory file with these."""
    where, slots, data = {}, {}, b''
    for key, value in records.items():
        h = 5381
        for octet in key:
            h = (h * 33 & 0xffffffff) ^ octet
        slots.setdefault(h % 256, []).append((h, 2048 + len(data)))
        data += struct.pack('<II', len(key), len(value)) + key + value
    at, tables = 2048 + len(data), b''
    for n in range(256):
        entries = slots.get(n, [])
        where[n], table = (at + len(tables), 2 * len(entries)), [(0, 0)] * (2 * len(entries))
        for h, position in entries:
            i = (h >> 8) % len(table)
            while table[i] != (0, 0):
                i = (i + 1) % len(table)
            table[i] = (h, position)
        tables += b''.join(struct.pack('<II', *x) for x in table)
    fd = os.memfd_create(name, os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
    os.write(fd, b''.join(struct.pack('<II', *where[n]) for n in range(256)) + data + tables)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE)
    return fd


def defined(header, name):
    with open(os.path.join(drill.TREE, 'lib', header)) as f:
        return re.search(name + ' "(.*)"', f.read())[1].encode()


def empty_rack():
    """Certificates of which there are none: one record, the version."""
    return cdb('certificates', {b'v': defined('wire/rack.h', 'RACK_VERSION')})


VIRTUAL = b'virtual\0' b'60000\0' b'60000\0' b'/tmp\0\0\0' b'0\0'


def give_users(end):
    """The table of users on its channel, as warden hands it over before the process starts."""
    fd = cdb('users', {b'#': defined('control/users_table.h', 'USERS_VERSION'), b'': b'', b'@': VIRTUAL, b'?': b''})
    socket.send_fds(end, [head(0, 0)], [fd])
    os.close(fd)


class Process:
    """One process of the plan between ends that are the test's: self.ends[slot name]."""

    CONTROL = {'me': 'mx.example.org', 'systemusers': 'no', 'locals': 'example.org', 'queuefree': '0', 'virtualuser': '60000:60000:/tmp',
               'virtualusers': 'a@example.org:a/Maildir', 'checkpassword': '/bin/true /bin/true', 'recipients': '*|/bin/false'}

    def __init__(self, name, wanted=None):
        """wanted: a slot that is filled although it is optional"""
        self.may, self.ends, self.wanted = MAY[name], {}, wanted
        self.dir = tempfile.mkdtemp(prefix='neighbour.')
        os.chmod(self.dir, 0o755)
        services = [('etc/' + s, 0) for s in sorted({m['service'] for m in PLAN['members']})]
        for d, owner in (('empty', 0), ('queue', drill.UID), ('home', drill.UID), ('etc', 0), *services):
            os.mkdir(self.path(d), 0o755 if owner == 0 else 0o700)
            os.chown(self.path(d), owner, owner)
        for item, text in self.CONTROL.items():
            with open(self.path('etc/' + item), 'w') as f:
                f.write(text + '\n')
        self.log = tempfile.TemporaryFile()
        self.start(name)

    def path(self, name):
        return os.path.join(self.dir, name)

    def start(self, name):
        places = {}
        for slot in self.may['descriptors']:
            kind = slot['kind']
            if kind in ('channel', 'door', 'doorway') and (slot['name'] == self.wanted or not slot['optional']):
                ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET if kind == 'channel' else socket.SOCK_DGRAM)
                ours.settimeout(5)
                self.ends[slot['name']] = ours
                if slot['name'] == 'users':
                    give_users(ours)
                places[slot['fd']] = its.detach()
            elif kind == 'listening socket':
                places[slot['fd']] = socket.create_server(('127.0.0.1', 0)).detach()
            elif slot['name'] == 'certificates':
                places[slot['fd']] = empty_rack()
            elif kind == 'program':
                places[slot['fd']] = os.open(os.path.join(drill.BUILD, 'bin', slot['name']), os.O_RDONLY)
        kinds = {slot['kind'] for slot in self.may['descriptors']}
        service = next((m['service'] for m in PLAN['members'] if m['process'] == name), 'send')
        words = []
        if 'sealed snapshot' in kinds:
            words += [os.path.join(drill.BUILD, 'crash', 'with_control'), self.path('etc'), service, name]
        if 'own descriptors' in kinds:
            words += [os.path.join(drill.BUILD, 'crash', 'with_proc_fds')]
        words += drill.command(self.may, self, drill.BUILD)
        self.process = subprocess.Popen(words, preexec_fn=lambda: drill.arrange(places), close_fds=False, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=self.log, env={})
        for fd in places.values():
            os.close(fd)

    def confined(self):
        """Waits until it has its filter, so that what comes meets the process at work."""
        end = time.monotonic() + 10
        while time.monotonic() < end and self.process.poll() is None:
            with open('/proc/%d/status' % self.process.pid) as f:
                if 'Seccomp:\t2' in f.read():
                    return True
            time.sleep(0.002)
        return False

    def n_fds(self):
        return len(os.listdir('/proc/%d/fd' % self.process.pid))

    def said(self):
        self.log.seek(0)
        return self.log.read().decode(errors='replace')

    def check(self, what):
        """It runs, or has ended in order."""
        status = self.process.poll()
        assert status is None or status >= 0, '%s: signal %d\n%s' % (what, -status, self.said())
        return status is None

    def close(self):
        self.process.kill()
        self.process.wait()
        for e in self.ends.values():
            e.close()
        shutil.rmtree(self.dir)


def throw(end, packet, n_fds):
    fds = [os.open('/dev/null', os.O_RDONLY)] * n_fds
    try:
        socket.send_fds(end, [packet], fds)
    except OSError:
        pass  # it was too much for the kernel, or the conversation is over
    for fd in set(fds):
        os.close(fd)


def settle(process, seconds=0.5):
    """Until it waits again, or has ended."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.process.poll() is None:
        try:
            with open('/proc/%d/stat' % process.process.pid) as f:
                if f.read().rsplit(')', 1)[1].split()[0] == 'S':
                    return
        except OSError:
            return
        time.sleep(0.002)


# ---- edges within a generation: the receiver may end, in order; its warden starts the next generation ----

def slot_edges():
    """(receiver, slot, sender, messages) of each channel that a process has from its start"""
    with open(os.path.join(drill.TREE, 'daemons', 'graph.def')) as f:
        for line in f:
            if line.startswith('EDGE('):
                a, a_slot, b, b_slot, protocol = (w.strip(' ")\n') for w in line[5:].split(','))
                messages = next(e['messages'] for e in PLAN['edges'] if e['protocol'] == protocol)
                yield b, b_slot, a, protocol, messages
                yield a, a_slot, b, protocol, messages
    for receiver, sender in ('local', 'send'), ('instruct', 'send'), ('pipe', 'send'), ('pop3box', 'policy'):
        protocol = sender + '_' + receiver
        yield receiver, sender, sender, protocol, next(e['messages'] for e in PLAN['edges'] if e['protocol'] == protocol)


HERE = ('listen', 'smtpd', 'policy', 'queue', 'send', 'lspawn', 'pspawn', 'local', 'instruct', 'pipe', 'pop3box', 'tls', 'keyload', 'auth', 'authrun')
EDGES = [e for e in slot_edges() if (e[0] in HERE and e[2] in HERE) or e[:3] == ('ucspitls', 'door', 'sslserver')]


@pytest.mark.parametrize('receiver, slot, sender, protocol, messages', EDGES, ids=['%s-from-%s-%s' % (e[0], e[2], e[3]) for e in EDGES])
def test_a_neighbour_survives_nonsense_or_ends_in_order(receiver, slot, sender, protocol, messages):
    side = receiver
    if protocol == 'policy_queue':  # its sides are called client and queue
        side = 'queue' if receiver == 'queue' else 'client'
    process = None
    try:
        for what, packet, n_fds in nonsense(messages, side):
            if process is None:
                process = Process(receiver, slot)
                assert process.confined(), process.said()
            settle(process)
            before = process.n_fds() if process.check(what) else 0
            throw(process.ends[slot], packet, n_fds)
            settle(process)
            if process.check(what):
                assert process.n_fds() < before + 100, '%s: it keeps descriptors' % what
            else:
                process.close()
                process = None
    finally:
        if process is not None:
            process.close()


PR_ASK, PR_ANSWER, NOT_TAKEN = 0, 1, 1


@pytest.mark.parametrize('program, address', [(1, b'joe@example.org'), (255, b'joe@example.org'), (0, b'joe@example.org\0/bin/sh'), (0, b'')])
def test_policy_taken_over_cannot_choose_what_authrun_executes(program, address):
    process = Process('authrun', 'policy')
    try:
        assert process.confined(), process.said()
        end = process.ends['policy']
        end.send(head(PR_ASK, 8 + 15) + bytes(8) + b'joe@example.org')
        assert end.recv(9000) == head(PR_ANSWER, 8) + bytes([NOT_TAKEN]) + bytes(7), 'the one program of its recipients'
        end.send(head(PR_ASK, 8 + len(address)) + bytes([program]) + bytes(7) + address)
        assert end.recv(9000) == b'', 'the end of the conversation'
        assert process.process.wait(10) >= 0
    finally:
        process.close()


SL_SPAWN, SL_REFUSED = 0, 1
SL_LOCAL = 0


def field(octets):
    return struct.pack('<H', len(octets)) + octets


def ask_lspawn(lspawn, key, row):
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(5)
    tail = field(key) + field(row)
    socket.send_fds(lspawn.ends['send'], [head(SL_SPAWN, 4 + len(tail)) + struct.pack('<I', SL_LOCAL) + tail], [its.fileno()])
    its.close()
    return ours


def refusal(lspawn):
    packet = lspawn.ends['send'].recv(9000)
    assert struct.unpack_from('<H', packet)[0] == SL_REFUSED, packet
    return packet[16:].decode()


def children(process):
    with open('/proc/%d/task/%d/children' % (process.process.pid, process.process.pid)) as f:
        return f.read().split()


@pytest.mark.parametrize('spawner', ['lspawn', 'pspawn'])
@pytest.mark.parametrize('key, row', [(b'@', b'virtual\x0030000\x006\0/dev\0\0\x000\0'), (b'@', b'virtual\x0060000\x006\0/tmp\0\0\x000\0'),
                                      (b'@', VIRTUAL.replace(b'/tmp', b'/dev')), (b'!root\0', b'root\x000\x000\0/root\0\0\x000\0'),
                                      (b'', b''), (b'?', b''), (b'@', b'')])
def test_send_taken_over_cannot_choose_uid_gid_or_home(key, row, spawner):
    lspawn = Process(spawner, 'send')
    try:
        assert lspawn.confined(), lspawn.said()
        with ask_lspawn(lspawn, key, row) as local:
            assert refusal(lspawn) and local.recv(100) == b'', 'its end is closed'
        assert children(lspawn) == [] and lspawn.check('the end')
    finally:
        lspawn.close()


def test_send_taken_over_cannot_choose_what_lspawn_executes():
    lspawn = Process('lspawn', 'send')
    try:
        assert lspawn.confined(), lspawn.said()
        ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        tail = field(b'@') + field(VIRTUAL)
        socket.send_fds(lspawn.ends['send'], [head(SL_SPAWN, 4 + len(tail)) + struct.pack('<I', 7) + tail], [its.fileno()])
        its.close()
        assert refusal(lspawn) and ours.recv(100) == b'' and children(lspawn) == []
        ours.close()
    finally:
        lspawn.close()


def test_lspawn_knows_the_table_that_warden_gave_last():
    lspawn = Process('lspawn', 'send')
    try:
        assert lspawn.confined(), lspawn.said()
        other = VIRTUAL.replace(b'60000', b'60001')
        with ask_lspawn(lspawn, b'@', other):
            assert 'has changed' in refusal(lspawn)
        fd = cdb('users', {b'#': defined('control/users_table.h', 'USERS_VERSION'), b'': b'', b'@': other})
        socket.send_fds(lspawn.ends['users'], [head(0, 0)], [fd])
        os.close(fd)
        with ask_lspawn(lspawn, b'@', VIRTUAL):
            assert 'has changed' in refusal(lspawn)
        with ask_lspawn(lspawn, b'@', other):
            end = time.monotonic() + 5
            while not children(lspawn) and time.monotonic() < end:
                time.sleep(0.01)
            assert len(children(lspawn)) == 1
        lspawn.ends['users'].close()
        with ask_lspawn(lspawn, b'@', VIRTUAL):
            assert 'has changed' in refusal(lspawn)  # without warden it goes on with the last
    finally:
        lspawn.close()


# ---- edges across trust: the receiver goes on with everybody else ----

LP_PEER, SP_WELCOME = 0, 0


def open_session(listen, slot):
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(5)
    body = b'%011d\0' % slot + struct.pack('<IB3x16s16sHHIII', slot, 4, bytes([127, 0, 0, 1]) + bytes(12), bytes(16), 1025, 25,
                                           0xffffffff, 0, 1)
    with socket.socket() as connection:
        socket.send_fds(listen, [head(LP_PEER, len(body)) + body], [its.fileno(), connection.fileno()])
    its.close()
    return ours


def is_welcome(session):
    packet = session.recv(9000)
    return len(packet) > 8 and struct.unpack_from('<H', packet)[0] == SP_WELCOME


def test_policy_goes_on_whatever_a_front_end_says():
    messages = next(e['messages'] for e in PLAN['edges'] if e['protocol'] == 'smtpd_policy')
    policy = Process('policy')
    try:
        bystander = open_session(policy.ends['listen'], 1)
        assert is_welcome(bystander)
        before = policy.n_fds()
        for n, (what, packet, n_fds) in enumerate(nonsense(messages, 'policy')):
            session = open_session(policy.ends['listen'], 2 + n)
            assert is_welcome(session), what
            throw(session, packet, n_fds)
            session.close()
            assert policy.check(what), '%s: it ended\n%s' % (what, policy.said())
        rset = next(m for m in messages if m['message'] == 'SP_RESET')
        bystander.send(head(rset['number'], 0))
        last = open_session(policy.ends['listen'], 9999)
        assert is_welcome(last) and policy.check('the end')
        last.close()
        settle(policy)
        assert policy.n_fds() <= before + 2, 'it keeps descriptors'
        bystander.settimeout(0.2)
        with pytest.raises(TimeoutError):
            assert bystander.recv(9000) != b'', 'the bystander was sent away'
    finally:
        policy.close()


def converse(door):
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(5)
    socket.send_fds(door, [head(0, 0)], [its.fileno()])
    its.close()
    return ours


def test_queue_goes_on_whatever_a_client_says():
    messages = next(e['messages'] for e in PLAN['edges'] if e['protocol'] == 'policy_queue')
    number = {m['message']: m['number'] for m in messages}
    queue = Process('queue')
    try:
        assert queue.confined(), queue.said()
        for door in ('smtpd-door', 'inject-door', 'admin-door'):
            for what, packet, n_fds in nonsense(messages, 'queue'):
                end = converse(queue.ends[door])
                throw(end, packet, n_fds)
                end.close()
                assert queue.check(what), '%s: it ended\n%s' % (what, queue.said())
                throw(queue.ends[door], packet, n_fds)  # at the door itself
        end = converse(queue.ends['smtpd-door'])
        trace = b'Received: by mx id ; now\r\n'
        tail = b''.join(struct.pack('<H', len(f)) + f for f in (b's@example.org', b'', trace, b'smtpd', b'', b'r@example.org', b'', b'\0'))
        body = struct.pack('<QIIIIH6x', 0, 1, 1, 1, 0xffffffff, 19) + tail
        end.send(head(number['PQ_OPEN'], len(body)) + body)
        packet, fds, _, _ = socket.recv_fds(end, 9000, 4)
        assert struct.unpack_from('<H', packet)[0] == number['PQ_WRITER'], queue.said()
        os.close(fds[0])
    finally:
        queue.close()


def test_resolve_goes_on_whatever_a_client_says():
    messages = next(e['messages'] for e in PLAN['edges'] if e['protocol'] == 'client_resolve')
    resolve = Process('resolve')
    try:
        assert resolve.confined(), resolve.said()
        before = resolve.n_fds()
        for what, packet, n_fds in nonsense(messages, 'resolve'):
            end = converse(resolve.ends['policy-door'])
            throw(end, packet, n_fds)
            end.close()
            for door in ('policy-door', 'remote-door', 'admin-door'):
                throw(resolve.ends[door], packet, n_fds)
            settle(resolve)
            assert resolve.check(what), '%s: it ended\n%s' % (what, resolve.said())
        for _ in range(50):
            throw(resolve.ends['remote-door'], b'', 4)
        assert few_fds(resolve, before + 20), 'it keeps descriptors'
    finally:
        resolve.close()


def few_fds(process, n):
    end = time.monotonic() + 10
    while process.n_fds() > n and time.monotonic() < end:
        time.sleep(0.01)
    return process.n_fds() <= n


def test_who_asks_resolve_and_takes_no_answers_is_sent_away_alone():
    messages = next(e['messages'] for e in PLAN['edges'] if e['protocol'] == 'client_resolve')
    ask = next(m for m in messages if m['message'] == 'RS_ASK')
    packet = head(ask['number'], ask['body'] + 3) + bytes(ask['body']) + b'\1\0x'  # of no type that there is: refused at once
    resolve = Process('resolve')
    try:
        assert resolve.confined(), resolve.said()
        greedy, other = converse(resolve.ends['remote-door']), converse(resolve.ends['policy-door'])
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            for _ in range(100000):
                greedy.send(packet)
        other.send(packet)
        assert other.recv(9000), 'the others go on'
        assert resolve.check('the end'), resolve.said()
    finally:
        resolve.close()


def test_tls_goes_on_whatever_a_session_of_remote_says():
    """All of them share one channel to it: what one says must not end it for the others."""
    messages = next(e['messages'] for e in PLAN['edges'] if e['protocol'] == 'policy_tls')
    tls = Process('tls')
    try:
        assert tls.confined(), tls.said()
        settle(tls)
        before = tls.n_fds()
        for what, packet, n_fds in nonsense(messages, 'tls'):
            throw(tls.ends['door'], packet, n_fds)
            settle(tls)
            assert tls.check(what), '%s: it ended\n%s' % (what, tls.said())
        assert few_fds(tls, before), 'it keeps descriptors'
        tls.ends['door'].close()
        assert tls.process.wait(10) >= 0, 'nobody is left who could ask'
    finally:
        tls.close()


def test_keyload_goes_on_whatever_an_engine_says():
    """Each nonsense is said to a signer of its own. None is killed by it, and the next is made."""
    messages = next(e['messages'] for e in PLAN['edges'] if e['protocol'] == 'tls_keyload')
    keyload = Process('keyload')
    try:
        assert keyload.confined(), keyload.said()
        before = keyload.n_fds()
        for what, packet, n_fds in nonsense(messages, 'keyload'):
            ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            socket.send_fds(keyload.ends['door'], [head(0, 20) + b'%011d\0' % 1 + struct.pack('<B3xI', 0, 5000)], [its.fileno()])
            its.close()
            throw(ours, packet, n_fds)
            ours.settimeout(10)
            try:
                answer = ours.recv(9000)  # until the signer has ended, or refused
                assert answer == b'' or struct.unpack_from('<H', answer)[0] == 2, what
            except ConnectionResetError:
                pass  # it ended with something unread
            ours.close()
            assert keyload.check(what), '%s: it ended\n%s' % (what, keyload.said())
        settle(keyload)
        assert keyload.n_fds() < before + 5, 'it keeps descriptors'
        assert 'session-killed' not in keyload.said()
    finally:
        keyload.close()
