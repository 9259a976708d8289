use std::sync::Arc;

use super::*;
use crate::reply::reply;
use crate::spool::Said;

fn lines_of<T>(said_by_peer: bool, peer: &str, of: impl FnOnce(&Lines<'_>) -> T) -> T {
    let said = Said { reply: reply(550, "5.4.4", "no\nway"), peer: peer.into(), by_peer: said_by_peer };
    let status = Status { last: Some(Arc::new(said)), ..Status::default() };
    let reported = Reported { index: 0, action: Action::Failed, status: &status, expired: false };
    of(&Lines::new(&reported))
}

#[test]
fn what_another_host_said_is_quoted_with_its_name() {
    lines_of(true, "mx.remote.test 192.0.2.1:25", |lines| {
        assert_eq!(lines.status, "5.4.4");
        assert_eq!(lines.remote, Some("mx.remote.test"));
        assert_eq!(lines.diagnostic.as_deref(), Some("550 5.4.4 no\nway"));
    });
}

#[test]
fn what_was_found_out_here_is_said_in_words_and_put_in_nobodys_mouth() {
    for (said_by_peer, peer) in
        [(false, "local"), (true, "mda 127.0.0.1:7143"), (false, "mx.remote.test 192.0.2.1:25")]
    {
        lines_of(said_by_peer, peer, |lines| {
            assert_eq!(lines.status, "5.4.4");
            assert_eq!(lines.remote, None);
            assert_eq!(lines.diagnostic.as_deref(), Some("no\nway"));
        });
    }
}
