import imaplib, poplib, re, smtplib, ssl, sys

ca, imaps, pop3s, submission = sys.argv[1:]
tls = ssl.create_default_context(cafile=ca)
imaplib.Commands.update(MOVE=('SELECTED',), UNSELECT=('SELECTED',))


def imap():
    m = imaplib.IMAP4_SSL('localhost', int(imaps), ssl_context=tls, timeout=60)
    ok(m.login('bob@example.test', 'secret'))
    return m


def pop3():
    m = poplib.POP3_SSL('localhost', int(pop3s), context=tls, timeout=60)
    m.user('bob@example.test')
    m.pass_('secret')
    return m


def submit(subject):
    with smtplib.SMTP('localhost', int(submission), timeout=60) as s:
        s.starttls(context=tls)
        s.login('alice@example.test', 'secret')
        s.sendmail('alice@example.test', ['bob@example.test'], message(subject))


def message(subject):
    return f'From: alice@example.test\r\nSubject: {subject}\r\n\r\nText of {subject}.\r\n'.encode()


def ok(answer):
    assert answer[0] == 'OK', answer
    return answer[1]


def no(code, answer):
    assert answer[0] == 'NO' and answer[1][0].startswith(b'[' + code + b']'), answer


def append(m, mailbox, subject, flags=None):
    """The new message's UIDVALIDITY and UID."""
    told = ok(m.append(mailbox, flags, None, message(subject)))[0]
    return tuple(int(number) for number in re.match(rb'\[APPENDUID (\d+) (\d+)\]', told).groups())


def messages(m, mailbox):
    """Each message's subject and flags."""
    ok(m.select(mailbox, readonly=True))
    found = []
    for number in ok(m.search(None, 'ALL'))[0].split():
        fetched = ok(m.fetch(number, '(FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])'))
        subject = fetched[0][1].split(b': ')[1].strip().decode()
        flags = sorted(flag.decode() for flag in imaplib.ParseFlags(fetched[0][0]))
        found.append((subject, ' '.join(flags)))
    return found
