"""`queue` by itself, between clients that are the test: for crash and fault tests. Python 3, standard library.

House starts the program below a private directory with a descriptor at each place of its privileges table, and speaks
the protocols of lib/wire as policy, send and postern would. It never touches anything else, and ends only what it
started."""
import functools, mmap, os, shutil, socket, struct, subprocess, sys, tempfile, time

HERE = os.path.dirname(os.path.abspath(__file__))
TREE = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.join(TREE, os.environ.get('B', 'build'))
UID = 64010  # of nobody in particular

(OK, AGAIN, ABSENT, REFUSED, MALFORMED, EXHAUSTED, BROKEN) = range(7)
(PQ_OPEN, PQ_MORE, PQ_COMMIT, PQ_ABORT, PQ_WRITER, PQ_COMMITTED, PQ_FAILED) = range(7)
PQ_COMPLETE = 1
(QS_MESSAGE, QS_GONE, QS_FORGET, QS_RETRY, QS_BOUNCE, QS_CREDIT, QS_FETCH, QS_STATUS, QS_LATER, QS_DONE) = range(10)
(QC_LIST, QC_MORE, QC_SHOW, QC_ACT, QC_ROW, QC_FILE, QC_END) = range(7)
(QC_HOLD, QC_RELEASE, QC_RETRY, QC_BOUNCE, QC_DELETE) = range(5)
(OPENAT, LINKAT, RENAMEAT, UNLINKAT, PWRITE, PREAD, FTRUNCATE, FSTAT, LEASE, DUP, FSYNC, SYNCFS, LSEEK, FSTATFS, SENDMSG,
 RECVMSG, CLOSE, WRITE, READ, EPOLL, MALLOC, SYNCRANGE) = range(22)  # as tests/crash/preload/faults.c has them
CALL_NAMES = 'openat linkat renameat unlinkat pwrite pread ftruncate fstat lease dup fsync syncfs lseek fstatfs sendmsg ' \
             'recvmsg close write read epoll malloc sync_file_range'.split()
WAITING, DELIVERED, FAILED, REPORTED = 0x0f, 0x1e, 0x2d, 0x3c


def fields(*many):
    return b''.join(struct.pack('<H', len(f)) + f for f in many)


def id_bytes(i):
    return i.encode() + b'\0'


CRC32C = []
for n in range(256):
    for _ in range(8):
        n = n >> 1 ^ (0x82f63b78 if n & 1 else 0)
    CRC32C.append(n)


@functools.lru_cache(1024)
def crc32c(octets):
    crc = 0xffffffff
    for octet in octets:
        crc = CRC32C[(crc ^ octet) & 255] ^ crc >> 8
    return crc ^ 0xffffffff


def commit_body(content, octets=None):
    return struct.pack('<QI4x', len(content) if octets is None else octets, crc32c(content))


class Gone(Exception):
    """The other end is closed."""


class Channel:
    def __init__(self, sock):
        self.sock = sock
        sock.settimeout(10)

    def send(self, kind, ref=0, body=b'', fds=()):
        packet = struct.pack('<HH4xQ', kind, len(body), ref) + body
        try:
            socket.send_fds(self.sock, [packet], list(fds))
        except OSError:
            raise Gone

    def receive(self, timeout=10):
        """(type, ref, body, fds); raises Gone, or TimeoutError"""
        self.sock.settimeout(timeout)
        try:
            packet, fds, _, _ = socket.recv_fds(self.sock, 9000, 4)
        except socket.timeout:
            raise TimeoutError
        except OSError:
            raise Gone
        if not packet:
            raise Gone
        kind, length, ref = struct.unpack_from('<HH4xQ', packet)
        assert length == len(packet) - 16
        return kind, ref, packet[16:], fds

    def close(self):
        self.sock.close()


def pair():
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


class Faults:
    """The page that is shared with tests/crash/preload/faults.c."""

    def __init__(self):
        self.fd = os.memfd_create('faults')
        os.ftruncate(self.fd, 4096)
        self.page = mmap.mmap(self.fd, 4096)

    def arm(self, calls, n, error, always=False):
        """The n-th of these calls fails with error; 0: the process ends just before it."""
        struct.pack_into('<iiii', self.page, 4, n, error, always, 0)
        struct.pack_into('<I', self.page, 0, sum(1 << c for c in calls))

    def disarm(self):
        """Name of the call that it came to, or None."""
        struct.pack_into('<I', self.page, 0, 0)
        fired = struct.unpack_from('<i', self.page, 16)[0]
        return CALL_NAMES[fired - 1] if fired else None

    def close(self):
        self.page.close()
        os.close(self.fd)


class Queue:
    """One run of the program."""

    def __init__(self, directory, faults=None, control=None):
        self.directory = directory
        self.etc = tempfile.mkdtemp(prefix='etc.', dir=os.path.dirname(directory))
        os.mkdir(os.path.join(self.etc, 'send'))
        for item, text in dict({'me': 'mx.example.org', 'queuefree': '0'}, **(control or {})).items():
            with open(os.path.join(self.etc, item), 'w') as f:
                f.write(text + '\n')
        send, its_send = pair()
        bounces, its_bounces = pair()
        self.door, its_door = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.admin_door, its_admin_door = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        others = [socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(3)]
        self.other_doors = [mine for mine, _ in others]  # of smtps, submission and inject; `door` is smtpd's
        places = {4: its_send, 5: its_bounces, 6: its_admin_door, 8: its_door, **{9 + n: o[1] for n, o in enumerate(others)}}

        if faults:
            places[250] = faults

        def arrange():
            parked = {n: os.dup2(s if isinstance(s, int) else s.fileno(), 260 + n) for n, s in places.items()}
            os.closerange(3, 256)
            for n, fd in parked.items():
                os.dup2(fd, n, inheritable=True)
            os.closerange(256, 1024)

        command = [os.path.join(BUILD, 'crash', 'with_control'), self.etc, 'send', 'queue',
                   os.path.join(BUILD, 'crash', 'with_proc_fds'),
                   os.path.join(BUILD, 'bin', 'queue'), '-n', 'send', '-u', str(UID), '-g', str(UID), '-r', directory]
        environment = {'LD_PRELOAD': os.path.join(BUILD, 'crash', 'faults.so')} if faults else {}
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(command, preexec_fn=arrange, close_fds=False, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=self.log, env=environment)
        places.pop(250, None)
        for s in places.values():
            s.close()
        self.send, self.bounces = Channel(send), Channel(bounces)
        self.client = self.converse(self.door)

    def converse(self, door):
        mine, its = pair()
        try:
            socket.send_fds(door, [struct.pack('<HH4xQ', 0, 0, 0)], [its.fileno()])
        except OSError:
            pass  # it has ended already; the conversation will show it
        its.close()
        return Channel(mine)

    def administrator(self):
        return self.converse(self.admin_door)

    def logged(self):
        size = os.fstat(self.log.fileno()).st_size
        return os.pread(self.log.fileno(), size, 0).decode(errors='replace')  # the program writes at the same place: no seek

    def stop(self):
        """Kills the program, as a crash would."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for c in (self.send, self.bounces, self.client):
            c.close()
        for d in (self.door, self.admin_door, *self.other_doors):
            d.close()
        shutil.rmtree(self.etc, ignore_errors=True)


TRACE = b'Received: from test by mx.example.org id '


def open_body(sender=b's@example.org', recipients=(b'r@example.org',), flags=PQ_COMPLETE, octets=0):
    tail = fields(sender, b'', TRACE + b'; now\r\n', b'smtpd', b'')
    for r in recipients:
        tail += fields(r, b'', b'\0')
    return struct.pack('<QIIIIH6x', octets, flags, len(recipients), len(recipients), 0xffffffff, len(TRACE)) + tail


def deliver(channel, ref, content, sender=b's@example.org', recipients=(b'r@example.org',)):
    """One message in. Returns ('committed', id), ('failed', result), or raises Gone."""
    channel.send(PQ_OPEN, ref, open_body(sender, recipients, octets=len(content)))
    kind, _, body, fds = channel.receive()
    if kind == PQ_FAILED:
        return 'failed', struct.unpack_from('<I', body)[0]
    assert kind == PQ_WRITER
    fd = fds[0]
    commit = commit_body(content)
    try:
        while content_left(fd, content):
            break
    except OSError:
        os.close(fd)
        channel.send(PQ_ABORT, ref)
        return 'failed', EXHAUSTED
    os.close(fd)
    channel.send(PQ_COMMIT, ref, commit)
    kind, _, body, fds = channel.receive()
    if kind == PQ_FAILED:
        return 'failed', struct.unpack_from('<I', body)[0]
    assert kind == PQ_COMMITTED
    return 'committed', body[:11].decode()


def content_left(fd, content):
    while content:
        content = content[os.write(fd, content):]
    return content


class Message:
    """A queue file, decoded as far as a test looks at it."""

    def __init__(self, octets):
        assert octets[:8] == b'pnqueue2', octets[:8]
        self.n, self.uid = struct.unpack_from('<II', octets, 16)
        self.content_len, at, envelope = struct.unpack_from('<QII', octets, 32)
        self.id = octets[48:59].decode()
        self.mark, self.attempts, self.due = struct.unpack_from('<IIQ', octets, 64)
        self.statuses = list(octets[80:80 + self.n])
        self.envelope = octets[80 + self.n:80 + self.n + envelope]
        self.content = octets[at:at + self.content_len]
        self.notes = octets[at + self.content_len:]
        assert len(self.content) == self.content_len


def read_fd(fd):
    size = os.fstat(fd).st_size
    octets = os.pread(fd, size, 0)
    os.close(fd)
    return octets


def message_files(directory):
    found = []
    for d in sorted(os.listdir(directory)):
        if len(d) == 1:
            found += [os.path.join(directory, d, f) for f in os.listdir(os.path.join(directory, d))]
    return found


def fresh_directory(parent):
    d = tempfile.mkdtemp(prefix='queue.', dir=parent)
    os.chown(d, UID, UID)
    os.chmod(d, 0o700)
    return d
