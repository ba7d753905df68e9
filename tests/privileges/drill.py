"""The breach drill: starts a process of the drill build as warden (or lspawn) would, with descriptors that lead to the
test, and lets it make one attempt after it has confined itself. Ends only what it started."""
import fcntl, json, os, re, shutil, signal, socket, subprocess, tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TREE = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.join(TREE, os.environ.get('B', 'build'))
DRILL = os.path.join(TREE, os.environ.get('B_DRILL', 'build-drill'))
UID = 64020  # of nobody in particular; the recipient's for local
PARK = 300
CONTENT = b'what was written before'
F_ADD_SEALS, ALL_SEALS = 1033, 0xf


def plan(build=BUILD):
    return json.loads(subprocess.run([os.path.join(build, 'bin', 'postern'), 'plan', '--json'], check=True,
                                     stdout=subprocess.PIPE).stdout)


def sealed(octets):
    fd = os.memfd_create('control', os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(fd, octets)
    fcntl.fcntl(fd, F_ADD_SEALS, ALL_SEALS)
    return fd


class Targets:
    """What the attempts aim at: all of it belongs to the test."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix='drill.')
        os.chmod(self.dir, 0o755)
        for name, owner, mode in (('empty', 0, 0o755), ('queue', UID, 0o700), ('home', UID, 0o700), ('run', 0, 0o755)):
            os.mkdir(self.path(name), mode)
            os.chown(self.path(name), owner, owner)
        for owner in ('queue', 'home'):
            with open(self.path(owner + '/mail'), 'w') as f:
                f.write('mail that was there already\n')
            os.chown(self.path(owner + '/mail'), UID, UID)
        self.file = self.path('secret')
        with open(self.file, 'w') as f:
            f.write('a key\n')
        os.chmod(self.file, 0o600)
        with open(self.path('content'), 'wb') as f:
            f.write(CONTENT)
        self.door = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.door.bind(self.path('run/queue.smtpd'))
        os.chmod(self.path('run/queue.smtpd'), 0o600)
        self.inet = socket.create_server(('127.0.0.1', 0))
        self.sleeper = subprocess.Popen(['sleep', '600'], user=UID, group=UID, extra_groups=[])
        self.environment = {'DRILL_FILE': self.file, 'DRILL_QUEUE': self.path('queue'),
                            'DRILL_DOOR': self.path('run/queue.smtpd'), 'DRILL_PID': str(self.sleeper.pid),
                            'DRILL_PORT': str(self.inet.getsockname()[1])}

    def path(self, name):
        return os.path.join(self.dir, name)

    def close(self):
        self.sleeper.kill()
        self.sleeper.wait()
        self.door.close()
        self.inet.close()
        shutil.rmtree(self.dir)


def send_content(end, targets):
    """A descriptor as queue gives one: for writing, behind what was written already."""
    fd = os.open(targets.path('content'), os.O_WRONLY)
    os.lseek(fd, 0, os.SEEK_END)
    socket.send_fds(end, [b'content'], [fd])
    os.close(fd)


def descriptors(may, targets, build):
    """{number: source} for the slots of the table; a source of None is the process's own /proc/self/fd. And what the
    test must keep open meanwhile."""
    places, others = {}, []
    for slot in may['descriptors']:
        kind = slot['kind']
        if kind == 'sealed snapshot' or kind == 'table':
            places[slot['fd']] = sealed(b'x' * 64)
        elif kind == 'channel' or kind == 'door' or kind == 'doorway':
            kind = socket.SOCK_SEQPACKET if kind == 'channel' else socket.SOCK_DGRAM
            ours, its = socket.socketpair(socket.AF_UNIX, kind)
            others.append(ours)
            if kind == socket.SOCK_SEQPACKET or slot['kind'] == 'doorway':
                send_content(ours, targets)
            places[slot['fd']] = its.detach()
        elif kind == 'listening socket':
            places[slot['fd']] = socket.create_server(('127.0.0.1', 0)).detach()
        elif kind == 'directory':
            places[slot['fd']] = os.open(targets.path('queue'), os.O_RDONLY)
        elif kind == 'program':
            places[slot['fd']] = os.open(os.path.join(build, 'bin', slot['name']), os.O_RDONLY)
        else:
            places[slot['fd']] = None
    return places, others


def arrange(places):
    """In the child: each source to its number, nothing else above 2."""
    parked = {}
    for n, source in places.items():
        source = os.open('/proc/self/fd', os.O_RDONLY) if source is None else source
        parked[n] = fcntl.fcntl(source, fcntl.F_DUPFD, PARK)
    os.closerange(3, PARK)
    for n, fd in parked.items():
        os.dup2(fd, n, inheritable=True)
    os.closerange(PARK, PARK + 64)


def command(may, targets, build):
    root = {'empty': 'empty', 'own': 'queue', 'home': 'home'}.get(may['root'])
    uid = 0 if may['user'] == 'root' else UID
    words = [os.path.join(build, 'bin', may['process']), '-n', 'drill', '-u', str(uid), '-g', str(uid)]
    if root:
        words += ['-r', targets.path(root)]
    return words + (['-x', '1'] if uid == 0 else [])


def attempt(may, number, targets):
    """(name, outcome) of one attempt: 'done', 'refused' or 'killed'; (None, None) when there are no more."""
    places, others = descriptors(may, targets, DRILL)
    child = subprocess.Popen(command(may, targets, DRILL) + ['-D', str(number)], preexec_fn=lambda: arrange(places), close_fds=False,
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                             env=targets.environment)
    for fd in places.values():
        if fd is not None:
            os.close(fd)
    try:
        text = child.communicate(timeout=10)[1].decode(errors='replace')
    finally:
        child.kill()
        child.wait()
        for o in others:
            o.close()
    if 'drill end' in text:
        return None, None
    name = re.search(r'drill attempt=(\w+)', text)
    assert name, 'attempt %d of %s: %r' % (number, may['process'], text)
    outcome = re.search(r'drill outcome=(\w+)', text)
    if outcome:
        return name.group(1), outcome.group(1)
    if child.returncode == 0:
        return name.group(1), 'done'  # it has become another program
    assert child.returncode == -signal.SIGSYS, 'attempt %s of %s: status %d, %r' % (
        name.group(1), may['process'], child.returncode, text)
    return name.group(1), 'killed'


def all_attempts(may):
    """{name: outcome} of everything that can be tried, each in a process of its own."""
    targets, outcomes = Targets(), {}
    try:
        number = 1
        while True:
            name, outcome = attempt(may, number, targets)
            if name is None:
                return outcomes
            outcomes[name] = outcome
            number += 1
            with open(targets.path('content'), 'rb') as f:
                assert f.read().startswith(CONTENT), '%s of %s has changed what was written before' % (name, may['process'])
            assert targets.sleeper.poll() is None, '%s of %s has ended another process' % (name, may['process'])
    finally:
        targets.close()


def expected():
    """{attempt: {process: outcome}} from the table drill.expected"""
    table, heads = {}, None
    with open(os.path.join(HERE, 'drill.expected')) as f:
        for line in f:
            words = line.split('#')[0].split()
            if words and heads is None:
                heads = words[1:]
            elif words:
                table[words[0]] = dict(zip(heads, words[1:]))
    return table


def table():
    """What comes of each attempt now, as lines of drill.expected."""
    many = [p for p in plan(DRILL)['processes'] if p['process'] not in ('warden', 'sslserver')]
    outcomes = {p['process']: all_attempts(p) for p in many}
    yield ('%-28s' + ' %-8s' * len(many)) % ('attempt', *outcomes)
    for name in outcomes[many[0]['process']]:
        yield ('%-28s' + ' %-8s' * len(many)) % (name, *(row.get(name) for row in outcomes.values()))


if __name__ == '__main__':
    print('\n'.join(line.rstrip() for line in table()))
