"""The plan as lines of text, to compare with plan.expected. Run as a program, it prints them."""
from drill import plan


def rights(p):
    def words(values):
        return ' '.join(str(v) for v in values) or 'none'

    sets = {}
    for c in p['system_calls']:
        sets.setdefault(c['set'], []).append(c['call'])
    yield 'user', p['user']
    yield 'root', p['root']
    yield 'capabilities', '%x' % p['capabilities']
    yield 'dies with parent', p['dies_with_parent']
    if p['may_gain']:
        yield 'may gain rights by execution', True
    if p['own_groups']:
        yield 'groups', 'those of its user'
    yield 'landlock', p['landlock']
    yield 'paths', words(r['path'] + (' read' if r['read'] else '') + (' list' if r['list'] else '') + (' write' if r['write'] else '') for r in p['paths'])
    named = [('connect ' if r['connect'] else 'bind ') + str(r['port']) for r in p['ports']]
    yield 'ports', words(named + (['connect those of the control files'] if p['more_ports'] else []))
    if p['any_source']:
        yield 'local address', 'any'
    for d in p['descriptors']:
        yield 'descriptor', '%d %s: %s%s%s' % (d['fd'], d['name'], d['kind'], ', up to %d' % d['many'] if d['many'] else '',
                                               ', optional' if d['optional'] else '')
    yield 'may hold', words(p['holds'])
    more = ', %d more descriptors a session' % p['descriptors_a_session'] if p['descriptors_a_session'] else ''
    yield 'limits', ', '.join('%s %d' % i for i in p['limits'].items()) + more + (', descriptors may be raised' if p['may_raise'] else '')
    yield 'system call filter', p['seccomp']
    yield 'system calls', words(sets)


def lines():
    the_plan, sets = plan(), {}
    for p in the_plan['processes']:
        for c in p['system_calls']:
            calls = sets.setdefault(c['set'], [])
            if c['call'] not in calls:
                calls.append(c['call'])
        for what, value in rights(p):
            yield '%s, %s: %s' % (p['process'], what, {True: 'yes', False: 'no'}.get(value, value))
    for name in sorted(sets):
        yield 'set %s: %s' % (name, ' '.join(sets[name]))
    for m in the_plan['members']:
        yield 'service %s: %s' % (m['service'], m['process'])
    for u in the_plan['users']:
        yield 'user %s%s%s' % (u['name'], ': service ' + u['service'] if u['service'] else '', ', group ' + u['group'] if u['group'] else '')
    for e in the_plan['edges']:
        yield 'edge %s - %s: %s, %s' % (e['from'], e['to'], e['protocol'], e['how'])


if __name__ == '__main__':
    print('\n'.join(lines()))
