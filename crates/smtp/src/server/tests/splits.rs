//! However the input is cut, the same happens; and nothing makes a session panic.

use proptest::prelude::*;

use super::*;

/// A session's input, up to each point where a client has to wait for a reply.
const GROUPS: [&[u8]; 5] = [
    b"EHLO client.test\r\n",
    b"MAIL FROM:<a@example.test>\r\nRCPT TO:<nobody@example.test>\r\nRCPT TO:<b@example.test>\r\nDATA\r\n",
    b"Subject: x\r\n\r\n..\r\n..a\r\n.\r\nRSET\r\nXYZZY\r\nMAIL FROM:<>\r\nRCPT TO:<b@example.test>\r\n\
      BDAT 5\r\na\nb\r\nBDAT 0\r\nBDAT 4 LAST\r\nQUITMAIL FROM:<c@example.test>\r\nRCPT TO:<c@example.test>\r\nDATA\r\n",
    b"bare\nand\r\n.\r\r\n.\r\nNOOP\r\nMAIL FROM:<d@example.test>\r\nRCPT TO:<d@example.test>\r\nDATA\r\n",
    b".\r\nBDAT 9\r\nRSET\r\nabcNOOP\r\nQUIT\r\n",
];

fn outcome<'a>(groups: impl Iterator<Item = Vec<&'a [u8]>>) -> (Vec<String>, String, bool) {
    let mut served = Served::new(config(), false);
    for pieces in groups {
        for piece in pieces {
            served.feed(piece);
        }
    }
    (served.heard, served.said, served.closed)
}

proptest! {
    #[test]
    fn any_cut_of_the_input_gives_the_same_events_and_replies(sizes in prop::collection::vec(1..40_usize, 1..40)) {
        let mut sizes = sizes.iter().cycle();
        let cut = GROUPS.iter().map(|group| {
            let mut rest = *group;
            let mut pieces = Vec::new();
            while !rest.is_empty() {
                let (piece, behind) = rest.split_at(rest.len().min(*sizes.next().unwrap()));
                pieces.push(piece);
                rest = behind;
            }
            pieces
        });
        let whole = outcome(GROUPS.iter().map(|group| vec![*group]));
        prop_assert_eq!(whole.1.lines().count(), 34, "{}", whole.1);
        prop_assert_eq!(outcome(cut), whole);
    }

    #[test]
    fn no_octets_make_a_session_panic(pieces: Vec<Vec<u8>>, tls: bool) {
        let mut served = Served::new(config(), tls);
        for piece in &pieces {
            served.feed(piece);
        }
    }

    #[test]
    fn no_commands_make_a_session_panic(
        commands in prop::collection::vec(
            "(EHLO a|MAIL FROM:<>|RCPT TO:<b@c>|DATA|BDAT [0-9]{1,4}( LAST)?|STARTTLS|AUTH (PLAIN|LOGIN)( =)?|RSET|\\*|\\.|a\r|)\r?\n",
            0..20,
        ),
        tls: bool,
    ) {
        let lenient = Config { max_errors: 100, ..config() };
        let mut served = Served::new(lenient, tls);
        for command in &commands {
            served.feed(command.as_bytes());
        }
    }
}
