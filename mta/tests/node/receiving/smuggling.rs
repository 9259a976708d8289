//! A message that holds another: whoever takes the wrong octets for its end takes mail that nobody sent.

use crate::client::Client;
use crate::node::{Node, no_remote};

/// What servers have taken for the end of a message beside CR LF `.` CR LF.
const ENDS: [&str; 12] = [
    "\n.\n",
    "\n.\r\n",
    "\r\n.\n",
    "\r.\r",
    "\r.\r\n",
    "\r\n.\r",
    "\r\n.\r\r\n",
    "\n\r.\r\n",
    "\n\n.\r\n",
    "\r\r\n.\n",
    "\r\n\0.\r\n",
    "\r\n.\0\r\n",
];
const SMUGGLED: &str =
    "MAIL FROM:<evil@remote.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\nSubject: evil\r\n\r\nevil";

async fn node() -> Node {
    let (names, port) = no_remote();
    Node::start(names, port).await
}

async fn begin(node: &Node) -> Client {
    let mut client = Client::connect(node.smtp).await;
    client.say("MAIL FROM:<a@remote.test>").await;
    client.say("RCPT TO:<carol@example.test>").await;
    assert!(client.say("DATA").await.starts_with("354 "));
    client
}

#[tokio::test]
async fn nothing_but_crlf_dot_crlf_ends_a_message() {
    let node = node().await;
    for end in ENDS {
        let message = format!("Subject: x\r\n\r\nx{end}{SMUGGLED}\r\n.\r\n");
        // At once, and octet by octet.
        for size in [message.len(), 1] {
            let mut client = begin(&node).await;
            for piece in message.as_bytes().chunks(size) {
                client.write(piece).await;
            }
            let said = client.reply().await;
            if end.contains('\0') {
                assert!(said.starts_with("250 "), "{end:?}: {said}");
                let delivered = node.mda.delivered().await;
                assert_eq!(delivered.recipients(), ["carol@example.test"], "{end:?}");
                assert!(delivered.body.contains("\r\nMAIL FROM:<evil@remote.test>\r\n"), "{end:?}");
            } else {
                assert_eq!(said, "550 5.6.0 Message holds a CR or LF that stands alone", "{end:?}");
            }
            assert!(client.say("NOOP").await.starts_with("250 "), "{end:?}: the session is in step");
        }
    }
    assert!(!node.mda.has_delivered());
}

#[tokio::test]
async fn a_message_in_chunks_has_the_lines_that_are_meant() {
    let node = node().await;
    let mut client = Client::connect(node.smtp).await;
    client.say("MAIL FROM:<a@remote.test>").await;
    client.say("RCPT TO:<carol@example.test>").await;
    // By size and not by its end, so that nothing can be smuggled; a bare LF becomes the end of a line.
    let message = "Subject: x\r\n\r\none\n.\ntwo\r\n.\r\nthree\r\n";
    client.write(format!("BDAT {} LAST\r\n{message}", message.len()).as_bytes()).await;
    assert!(client.reply().await.starts_with("250 "));
    let body = node.mda.delivered().await.body;
    assert!(body.ends_with("\r\n\r\none\r\n.\r\ntwo\r\n.\r\nthree\r\n"), "{body}");
}
