m = imap()
ok(m.select('INBOX'))
m.send(b'idle IDLE\r\n')
assert m.readline().startswith(b'+'), 'the server waits with us'
for number in range(1, 4):
    submit(f'letter {number}')
    while (line := m.readline()) != b'* %d EXISTS\r\n' % number:
        # Nothing else is news.
        assert line == b'* 0 RECENT\r\n', line
# Another session's doings are heard too.
other = imap()
ok(other.select('INBOX'))
ok(other.store('2', '+FLAGS', r'(\Deleted)'))
while b'FETCH' not in (line := m.readline()):
    pass
assert line == b'* 2 FETCH (UID 2 FLAGS (\\Deleted))\r\n', line
ok(other.expunge())
assert m.readline() == b'* 2 EXPUNGE\r\n'
m.send(b'DONE\r\n')
assert m.readline().startswith(b'idle OK')
assert ok(m.search(None, 'ALL')) == [b'1 2']
