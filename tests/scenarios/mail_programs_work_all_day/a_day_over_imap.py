m = imap()


def listed(*arguments):
    return [line.split(b' "/" ')[1].strip(b'"').decode() for line in ok(m.list(*arguments)) if line]


def untagged(name):
    return m.response(name)[1]


# Folders: made, renamed with what is below, deleted; the special ones are there from the start.
assert listed() == ['Archive', 'Drafts', 'INBOX', 'Junk', 'Sent', 'Trash'], listed()
uses = {line.split(b'"')[-2]: line for line in ok(m.list())}
for name in (b'Archive', b'Drafts', b'Junk', b'Sent', b'Trash'):
    assert b'\\' + name in uses[name], uses
ok(m.create('Work/2026'))
no(b'ALREADYEXISTS', m.create('Work/2026'))
assert listed('""', 'Work*') == ['Work', 'Work/2026']
assert listed('""', '%') == ['Archive', 'Drafts', 'INBOX', 'Junk', 'Sent', 'Trash', 'Work']
ok(m.rename('Work', 'Projects'))
assert listed('""', 'Projects*') == ['Projects', 'Projects/2026']
no(b'HASCHILDREN', m.delete('Projects'))
ok(m.delete('Projects/2026'))
ok(m.delete('Projects'))
no(b'NONEXISTENT', m.select('Projects'))
no(b'CANNOT', m.delete('INBOX'))
ok(m.create('&ZeVnLIqe-'))
ok(m.subscribe('&ZeVnLIqe-'))
assert b'"&ZeVnLIqe-"' in ok(m.lsub('""', '&ZeVnLIqe-'))[0]
ok(m.unsubscribe('&ZeVnLIqe-'))
assert ok(m.lsub('""', '&ZeVnLIqe-')) == [None]
ok(m.delete('&ZeVnLIqe-'))

# Mail comes in, is found, read, flagged.
for number in range(1, 7):
    append(m, 'INBOX', f'letter {number}', r'(\Flagged)' if number == 6 else None)
no(b'TRYCREATE', m.append('Nowhere', None, None, message('lost')))
assert ok(m.select('INBOX')) == [b'6']
status = ok(m.status('INBOX', '(MESSAGES UNSEEN UIDNEXT)'))[0]
assert status == b'"INBOX" (MESSAGES 6 UNSEEN 6 UIDNEXT 7)', status
for key, expected in (
    ('ALL', b'1 2 3 4 5 6'), ('SUBJECT "LETTER 2"', b'2'), ('TEXT "of letter 3"', b'3'), ('FLAGGED', b'6'),
    ('NOT FLAGGED 5:*', b'5'), ('OR SUBJECT "letter 1" BODY "letter 4"', b'1 4'), ('UID 2:4294967295 UNFLAGGED', b'2 3 4 5'),
    ('SUBJECT nothing', b''), ('SINCE 1-Jan-2000 SMALLER 1000', b'1 2 3 4 5 6'),
):
    assert ok(m.search(None, key)) == [expected], key
ok(m.search(None, 'RETURN (MIN MAX COUNT) FLAGGED'))
assert untagged('ESEARCH')[0].endswith(b'MIN 6 MAX 6 COUNT 1')
fetched = ok(m.fetch('1', '(BODY[TEXT]<8.100> UID)'))
assert fetched[0][1] == b'letter 1.\r\n', fetched
assert ok(m.search(None, 'SEEN')) == [b'1'], 'what is read is seen'
ok(m.fetch('2', '(BODY.PEEK[])'))
assert ok(m.search(None, 'SEEN')) == [b'1'], 'what is peeked at is not'
ok(m.store('2', '+FLAGS', r'(\Answered $Work)'))
ok(m.store('2', '-FLAGS', r'(\Answered)'))
assert ok(m.search(None, 'KEYWORD $Work UNANSWERED')) == [b'2']

# It is filed and thrown away; another session sees the same.
other = imap()
assert ok(other.select('INBOX')) == [b'6']
ok(m.copy('2:3', 'Archive'))
assert re.fullmatch(rb'\d+ 2:3 1:2', untagged('COPYUID')[0])
ok(m._simple_command('MOVE', '4', 'Trash'))
assert untagged('EXPUNGE') == [b'4']
ok(m.store('1', '+FLAGS', r'(\Deleted)'))
ok(m.uid('STORE', '6', '+FLAGS.SILENT', r'(\Deleted)'))
assert ok(m.uid('EXPUNGE', '6')) == [None] and untagged('EXPUNGE') == [b'5']
assert ok(m.expunge()) == [b'1']
ok(other.noop())
assert ok(other.search(None, 'ALL')) == [b'1 2 3']
assert messages(m, 'INBOX') == [('letter 2', '$Work'), ('letter 3', ''), ('letter 5', '')]
assert messages(m, 'Archive') == [('letter 2', '$Work'), ('letter 3', '')]
assert messages(m, 'Trash') == [('letter 4', '')]

# INBOX is renamed: its mail goes, and INBOX stays, empty and anew.
ok(m.rename('INBOX', 'Old'))
assert messages(m, 'INBOX') == []
assert [subject for subject, _ in messages(m, 'Old')] == ['letter 2', 'letter 3', 'letter 5']
ok(m.close())
m.logout()
other.logout()
