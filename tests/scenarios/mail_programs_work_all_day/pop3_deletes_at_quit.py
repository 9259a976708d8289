m = imap()
for number in (1, 2, 3):
    append(m, 'INBOX', f'letter {number}')

p = pop3()
assert p.stat()[0] == 3
ids = [line.split()[1] for line in p.uidl()[1]]
assert len(set(ids)) == 3
p.dele(1)
p.close()
assert len(messages(m, 'INBOX')) == 3, 'a connection that breaks off deletes nothing'

# The maildrop is free again once the server has seen the end of the first session.
p = None
while p is None:
    try:
        p = pop3()
    except poplib.error_proto as refused:
        assert b'IN-USE' in refused.args[0], refused
assert [line.split()[1] for line in p.uidl()[1]] == ids
p.dele(1)
p.dele(2)
p.rset()
p.dele(3)
assert p.stat()[0] == 2
assert len(messages(m, 'INBOX')) == 3, 'not before QUIT'
p.quit()
assert [subject for subject, _ in messages(m, 'INBOX')] == ['letter 1', 'letter 2']
p = pop3()
assert [line.split()[1] for line in p.uidl()[1]] == ids[:2], 'what stays keeps its id'
p.quit()
