"""The breach drill: each process, told that it is taken over, gets nowhere but where drill.expected says."""
import os, sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import drill

PROCESSES = [p for p in drill.plan()['processes'] if p['process'] not in ('warden', 'sslserver')]


@pytest.mark.parametrize('may', PROCESSES, ids=lambda may: may['process'])
def test_a_process_taken_over_gets_nowhere(may):
    expected = {name: row[may['process']] for name, row in drill.expected().items()}
    outcomes = drill.all_attempts(may)
    assert {n: o for n, o in outcomes.items() if expected.get(n) != o} == {}, 'what came of it instead'
    assert set(expected) == set(outcomes), 'attempts without an expectation, or the other way round'


def test_nobody_but_the_roots_of_trust_gets_a_file_a_socket_or_another_process():
    """The table itself: what no entry of it may ever say."""
    for name, row in drill.expected().items():
        for process, outcome in row.items():
            assert outcome in ('done', 'refused', 'killed'), (name, process)
            if outcome == 'done':
                may = process in ('keyload', 'keyring', 'queue', 'lspawn', 'local', 'pop3box')
                may |= process in ('smtpd', 'pop3d', 'tls', 'remote', 'ucspitls') and 'fork' in name
                may |= process in ('tls', 'resolve') and name == 'make_the_log_lose_lines'
                may |= process == 'instruct' and name in ('open_file_here', 'list_root')  # the home, to read
                may |= process == 'pspawn'  # root, with a filter that users' programs can live with (doc/TRUST)
                may |= process in ('authrun', 'pipe')  # what any user of the host may; the list is in drill.expected
                may |= process == 'resolve' and name == 'socket_udp6'
                may |= process in ('smtpd', 'policy', 'send') and name == 'write_on_content'
                assert may, (name, process)
            assert outcome != 'done' or process in ('lspawn', 'pspawn', 'authrun', 'pipe') or not name.endswith('_in_session'), (name, process)
            if name.startswith(('connect_', 'socket_', 'trace_', 'read_', 'signal_', 'write_control', 'map_control')):
                assert outcome != 'done' or process in ('resolve', 'authrun', 'pipe', 'pspawn'), (name, process)
            if name.startswith(('trace_', 'read_', 'write_control', 'map_control', 'new_user', 'clone')) or name in ('mount', 'bpf', 'open_file_of_root'):
                assert outcome != 'done' or process in ('lspawn', 'pspawn'), (name, process)
