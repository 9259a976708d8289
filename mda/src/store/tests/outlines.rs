//! What is known of messages without reading them.

use std::{fs::OpenOptions, os::unix::fs::FileExt as _, path::Path};

use super::*;

const TEXT: &str = "Subject: one\r\nFrom: bob@example.test\r\n\r\nHello, Alice\r\n";

/// Changes an octet of the journal, in the one place where `marker` stands; whoever writes to it may go on.
pub(crate) fn damage(dir: &Path, marker: &str) {
    let mut found = 0;
    for segment in std::fs::read_dir(dir.join("journal")).unwrap() {
        let path = segment.unwrap().path();
        let Ok(octets) = std::fs::read(&path) else { continue };
        let at = octets.windows(marker.len()).position(|window| window == marker.as_bytes());
        if let Some(at) = at {
            let file = OpenOptions::new().write(true).open(&path).unwrap();
            file.write_all_at(&[octets[at] ^ 1], at as u64).unwrap();
            found += 1;
        }
    }
    assert_eq!(found, 1);
}

#[tokio::test]
async fn a_body_is_not_read_for_its_outline() {
    let (bed, alice) = Bed::with_account().await;
    let text = format!("{TEXT}{}\r\nmarker of the end\r\n", "and on it goes ".repeat(100));
    let placement = deliver(&bed.store, alice, &text).await;
    bed.store.close().await.unwrap();
    damage(bed.dir.path(), "marker of the end");
    let store = open(bed.dir.path());
    let email = store.row(placement.mailbox, placement.uid).unwrap().unwrap().email;
    assert!(matches!(store.read(email, 0..10).await, Err(StoreError::CorruptBody { .. })));
    assert_eq!(outline_of(&store, email).await, Outline::of(text.as_bytes()));
}

#[tokio::test]
async fn a_message_that_came_in_pieces_has_an_outline_too() {
    let (bed, alice) = Bed::with_account().await;
    let mut large = delivery(MessageId::new(), "", vec![recipient(alice, "alice@example.test")]);
    large.body = staged(&bed.store, TEXT).await;
    let placement = bed.store.deliver(large).await.unwrap()[0].clone().unwrap().placement;
    let email = bed.store.row(placement.mailbox, placement.uid).unwrap().unwrap().email;
    assert_eq!(outline_of(&bed.store, email).await, Outline::of(TEXT.as_bytes()));
    // It was kept: the body is not needed any more.
    bed.store.close().await.unwrap();
    damage(bed.dir.path(), "Hello, Alice\r\n");
    let store = open(bed.dir.path());
    assert!(matches!(store.read(email, 0..10).await, Err(StoreError::CorruptBody { .. })));
    assert_eq!(outline_of(&store, email).await, Outline::of(TEXT.as_bytes()));
}

#[tokio::test]
async fn each_message_is_answered_for_by_itself() {
    let (bed, alice) = Bed::with_account().await;
    let first = deliver(&bed.store, alice, TEXT).await;
    let second = deliver(&bed.store, alice, "Subject: two\r\n\r\n").await;
    let email = |uid| bed.store.row(first.mailbox, uid).unwrap().unwrap().email;
    let (one, two) = (email(first.uid), email(second.uid));
    bed.store.expunge(first.mailbox, uids(&[first.uid]), false).await.unwrap();
    let outlines = bed.store.outlines(vec![one, two]).await;
    assert!(matches!(&outlines[0], Err(StoreError::Expunged)));
    assert_eq!(outlines[1].as_ref().unwrap(), &Outline::of(b"Subject: two\r\n\r\n"));
}
