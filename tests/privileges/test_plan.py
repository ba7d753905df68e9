"""The plan: as it is expected, and as the running processes have it."""
import glob, os, subprocess, sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), 'system')]
import plan as expected_plan
from drill import BUILD, TREE, plan
from instance import Instance, wait_for


def test_rights_are_what_the_table_of_expected_rights_says():
    """A right gained or lost is changed here too: python3 tests/privileges/plan.py says what it is now."""
    with open(os.path.join(HERE, 'plan.expected')) as f:
        wanted = f.read().splitlines()
    now = list(expected_plan.lines())
    assert [l for l in now if l not in wanted] == [], 'rights that nobody expects'
    assert [l for l in wanted if l not in now] == [], 'rights that are gone'


def test_no_process_that_reads_octets_of_a_client_sends_a_descriptor():
    """What is on its way is counted by user: it could stop the others of its user. remote, which sends its own connections, is the exception."""
    senders = {e['to'] if m['sender'] == e['to'] else e['from']
               for e in plan()['edges'] for m in e['messages'] if m['descriptors']}
    assert senders == {'listen', 'policy', 'auth', 'queue', 'send', 'remote', 'sslserver', 'ucspitls', 'sslclient', 'warden'}


def live(postern, instance):
    done = subprocess.run([postern, 'plan', '--live', '-R', instance.path('run')], stdout=subprocess.PIPE, text=True)
    return done.returncode, done.stdout


def deliver(session, instance):
    """One more message: `local` ends when there was nothing to do for a while."""
    n = len(instance.mailbox())
    for line in (b'MAIL FROM:<a@b.example>', b'RCPT TO:<alice@example.test>', b'DATA', b'Subject: x\r\n\r\nx\r\n.'):
        session.send(line + b'\r\n')
        session.reply()
    instance.wait_messages(n + 1)


@pytest.fixture(scope='module')
def busy():
    """An instance with a session open and a delivery process at work."""
    with Instance(services=('send', 'smtpd', 'inject')) as instance, instance.connect() as session:
        session.reply()
        session.send(b'EHLO a\r\n')
        session.reply()
        deliver(session, instance)
        instance.session = session
        postern = os.path.join(BUILD, 'bin', 'postern')
        wait_for(lambda: all(os.path.exists(instance.path('run/%s.pids' % s)) for s in instance.services), 10, 'the start')
        wait_for(lambda: ' does not run' not in live(postern, instance)[1], 10, 'the start of all processes')
        yield instance


def test_running_processes_are_as_the_plan_says(busy):
    postern = os.path.join(BUILD, 'bin', 'postern')

    def all_seen():
        deliver(busy.session, busy)
        status, text = live(postern, busy)
        assert (status, 'DEVIATION' in text) == (0, False), text
        for process in ('warden', 'listen', 'smtpd', 'policy', 'queue', 'send', 'lspawn', 'local'):
            assert ' %s ' % process in text, text
        assert text.count(' smtpd ') >= 3, 'the zygotes and the open session:\n' + text
        return True

    wait_for(all_seen, 20, 'a look at all processes while they run')


def test_a_process_that_is_gone_is_missed(busy):
    with open(busy.path('run/inject.pids')) as f:
        lines = f.read().splitlines()
    try:
        with open(busy.path('run/inject.pids'), 'w') as f:
            f.write('\n'.join(l for l in lines if not l.startswith('policy')) + '\n')
        status, text = live(os.path.join(BUILD, 'bin', 'postern'), busy)
        assert status == 1 and 'policy[-1]: it does not run' in text, text
    finally:
        with open(busy.path('run/inject.pids'), 'w') as f:
            f.write('\n'.join(lines) + '\n')


def postern_with(directory, process, old, new):
    """A postern that believes in another table: so it sees the running one as too loose."""
    source = os.path.join(TREE, 'daemons', process, 'privileges.c')
    with open(source) as f:
        text = f.read()
    assert old in text, '%s has changed: this test must too' % source
    changed, obj, out = (os.path.join(directory, n) for n in ('privileges.c', 'privileges.o', 'postern'))
    with open(changed, 'w') as f:
        f.write(text.replace(old, new))
    includes = ['-I' + os.path.join(TREE, d) for d in ('lib', 'daemons', 'tools')] + ['-I' + BUILD]
    subprocess.run(['cc', '-std=c2x', '-D_GNU_SOURCE', *includes, '-c', '-o', obj, changed], check=True)
    objects = glob.glob(os.path.join(BUILD, 'obj/tools/postern/*.o'))
    objects += [o for o in glob.glob(os.path.join(BUILD, 'obj/daemons/*/privileges.o')) if not o.endswith('/%s/privileges.o' % process)]
    layers = [os.path.join(BUILD, 'lib', l + '.a') for l in 'house crypt store mail net control wire sys base'.split()]
    subprocess.run(['cc', '-pie', '-o', out, obj, *objects, *[l for l in layers if os.path.exists(l)], '-lssl', '-lcrypto', '-lseccomp',
                    '-lcdb', '-lidn2', '-lcrypt'], check=True)
    return out


LOOSE = {
    'a limit': ('smtpd', '{ RLIMIT_NOFILE, 16 }', '{ RLIMIT_NOFILE, 8 }', 'Max open files is 16, the plan says 8'),
    'a capability': ('lspawn', 'CAP(CAP_SETUID) | ', '', 'CapEff'),
    'another root': ('send', 'EMPTY_ROOT', 'HOST_ROOT', 'instead of /'),
    'a descriptor of another kind': ('queue', 'FD_PROC_FDS', 'FD_CHANNEL', 'should be its descriptors (channel)'),
    'a descriptor that it may not hold': ('listen', 'HOLDS_EVENTS | ', '', 'which the plan does not let it hold'),
    'a descriptor that is missing': ('policy', '{ POLICY_QUEUE_FD,', '{ 900, "more", FD_CHANNEL, 0, false },\n\t\t{ POLICY_QUEUE_FD,',
                                     'descriptor 900 (more) is missing'),
    'a session with more than its own': ('smtpd', 'HOLDS_CHANNELS | HOLDS_CONNECTION | ', 'HOLDS_CHANNELS | ',
                                         'which the plan does not let it hold'),
}


@pytest.mark.parametrize('what', LOOSE)
def test_a_looser_process_is_a_deviation(busy, tmp_path, what):
    process, old, new, said = LOOSE[what]
    status, text = live(postern_with(str(tmp_path), process, old, new), busy)
    assert status == 1, text
    assert any('DEVIATION ' + process in l and said in l for l in text.splitlines()), text
