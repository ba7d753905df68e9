"""The life of some messages in `queue`, with a ledger of what was promised, and the check of what a restart finds.

The promises (doc/STATES): what was answered COMMITTED and not DONE is there, whole; what was answered FAILED is not;
what was not answered may be there, whole; nothing is there twice; nothing is damaged; a second start changes nothing."""
import zlib

from house import *


class Ledger:
    def __init__(self):
        self.content = {}    # tag -> content
        self.committed = {}  # tag -> id
        self.failed = set()
        self.done = set()
        self.must_hold = {}  # tag -> statuses that a FETCH has shown
        self.may_be_held = set()
        self.ended = False   # the run came to its end undisturbed

    def make(self, tag, size):
        """One of 31 contents of that size, no page of which is like another's: their sums take long to reckon in Python."""
        kind = b'%02d' % (zlib.crc32(tag.encode()) % 31)
        self.content[tag] = (b'Subject: ' + kind + b'\r\n\r\n' + (b'0123456789abcd' + kind) * (size // 16 + 1))[:size - 2] + b'\r\n'
        return self.content[tag]


def put(queue, ledger, tag, size, channel=None, recipients=(b'r0@example.org', b'r1@example.org')):
    outcome, what = deliver(channel or queue.client, len(ledger.content) + 1, ledger.make(tag, size), tag.encode() + b'@s.example',
                            recipients)
    if outcome == 'committed':
        ledger.committed[tag] = what
    else:
        ledger.failed.add(tag)
    return outcome == 'committed'


def fetch(queue, i):
    queue.send.send(QS_FETCH, 9, struct.pack('<12sI', id_bytes(i), 0))
    while True:
        kind, ref, body, fds = queue.send.receive()
        if kind == QS_MESSAGE and ref == 9:
            return Message(read_fd(fds[0]))
        if kind == QS_GONE:
            return None
        for fd in fds:
            os.close(fd)


def status(queue, i, recipient, value, note=b''):
    queue.send.send(QS_STATUS, 0, struct.pack('<12sIB7x', id_bytes(i), recipient, value) + note)


def done(queue, ledger, tag):
    ledger.done.add(tag)
    queue.send.send(QS_DONE, 0, struct.pack('<12sI', id_bytes(ledger.committed[tag]), 0))
    fetch(queue, ledger.committed[tag])  # so that it has been acted on


def live(queue, ledger):
    """Every transition of doc/STATES 3 and 4, once or more. Raises Gone when the queue ends."""
    queue.send.send(QS_CREDIT, 0, struct.pack('<I', 1000))
    a = put(queue, ledger, 'a', 9000)
    b = put(queue, ledger, 'b', 20000)
    if a:
        status(queue, ledger.committed['a'], 0, DELIVERED)
        status(queue, ledger.committed['a'], 1, FAILED, b'550 5.1.1 no such user')
        queue.send.send(QS_LATER, 0, struct.pack('<12sIQ', id_bytes(ledger.committed['a']), 2, 4000000000))
        m = fetch(queue, ledger.committed['a'])
        if m:
            ledger.must_hold['a'] = m.statuses
    if b:
        done(queue, ledger, 'b')
    put(queue, ledger, 'c', 100)                      # after a flush that follows, b's file is blanked
    put(queue, ledger, 'g', 30000)                    # and after another one it is a spare
    put(queue, ledger, 'd', 13000)                    # takes it, shorter than b was
    queue.client.send(PQ_OPEN, 77, open_body(b'e@s.example'))
    kind, _, _, fds = queue.client.receive()
    if kind == PQ_WRITER:
        os.write(fds[0], b'half a mess')
        os.close(fds[0])
        queue.client.send(PQ_ABORT, 77)
    if put(queue, ledger, 'f', 3000, queue.bounces):
        visitor = queue.administrator()
        for what in (QC_HOLD, QC_RELEASE, QC_DELETE):
            if what == QC_HOLD:
                ledger.may_be_held.add('f')
            visitor.send(QC_ACT, 0, struct.pack('<12sI', id_bytes(ledger.committed['f']), what))
            if what == QC_DELETE:
                ledger.done.add('f')
            visitor.receive()
            if what == QC_RELEASE:
                ledger.may_be_held.discard('f')
    ledger.ended = True


def found_by_a_start(directory):
    """Starts the program as after a crash; {tag: Message} of what it announces, and its log."""
    queue = Queue(directory)
    found = {}
    try:
        queue.send.send(QS_CREDIT, 0, struct.pack('<I', 1000))
        deadline = time.monotonic() + 10
        while 'event=start-read' not in queue.logged():
            assert queue.process.poll() is None, queue.logged()
            assert time.monotonic() < deadline, queue.logged()
            time.sleep(0.005)
        while True:
            try:
                kind, _, body, fds = queue.send.receive(0.001)
            except TimeoutError:
                break
            assert kind == QS_MESSAGE, kind
            m = Message(read_fd(fds[0]))
            tag = m.envelope[2:].split(b'@')[0].decode()
            assert tag not in found, 'announced twice: ' + tag
            assert m.id == body[:11].decode()
            found[tag] = m
        # new mail is taken at once
        outcome, i = deliver(queue.client, 1, b'later\r\n', b'later@s.example')
        assert outcome == 'committed'
        queue.send.send(QS_DONE, 0, struct.pack('<12sI', id_bytes(i), 0))
        fetch(queue, i)
        return found, queue.logged()
    finally:
        queue.stop()


def check(directory, ledger, was_cut=False):
    """The promises, after whatever happened."""
    found, log = found_by_a_start(directory)
    for tag, i in ledger.committed.items():
        if tag in ledger.done:
            continue
        if tag in ledger.may_be_held and tag not in found:
            assert any(f.endswith('/' + i) for f in message_files(directory)), 'lost, and was held: ' + tag
            continue
        assert tag in found, 'lost: %s\n%s' % (tag, log)
        assert found[tag].id == i
    for tag, m in found.items():
        assert tag in ledger.content, 'made up: ' + tag
        assert tag not in ledger.failed, 'refused, and kept: ' + tag
        assert m.content == ledger.content[tag], 'not whole: %s' % tag
        assert m.id.encode() in m.envelope
    for tag, statuses in ledger.must_hold.items():
        if not was_cut and tag in found:
            assert found[tag].statuses == statuses, 'statuses of %s' % tag
    # what a cut left of messages that were never answered is cleared away
    assert not os.listdir(os.path.join(directory, 'damaged')) and 'event=damaged' not in log, log
    assert was_cut or 'event=never-accepted' not in log, log
    again, _ = found_by_a_start(directory)
    assert set(again) == set(found), 'a second start changes something'
    assert len(os.listdir(os.path.join(directory, 'spare'))) <= 1
