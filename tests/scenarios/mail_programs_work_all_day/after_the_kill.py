m = imap()
inbox, kept = messages(m, 'INBOX'), messages(m, 'Kept')
validity, uid = append(m, 'INBOX', 'later')
# All UIDs up to this one were given before: to two messages that are no longer there too.
print(validity, uid - 1, inbox, kept)
