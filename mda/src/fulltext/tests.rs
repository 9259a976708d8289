use bytes::Bytes;
use jiff::Timestamp;
use message::MessageId;
use tempfile::TempDir;

use tokio::time::{Instant, sleep};

use super::learning::{PATIENCE, Taken, Taking, learn};
use super::quiet::QUIET;
use super::*;
use crate::store::{Append, BodySource, Flags, MailboxName};
use crate::testing::{LocalStore, TestStore};

/// An index beside a store with one account.
struct Bed {
    full_text: FullText,
    account: AccountId,
    store: TestStore,
    dir: TempDir,
}

impl Bed {
    async fn new() -> Self {
        let store = TestStore::open();
        let account = store.create_account("alice@example.test").await.id;
        let dir = TempDir::new().unwrap();
        let full_text = FullText::start(dir.path().to_owned(), store.store.clone());
        Self { full_text, account, store, dir }
    }

    async fn append(&self, text: &str) -> EmailId {
        append(&self.store.store, self.account, text).await
    }

    async fn learn(&self, emails: &[EmailId]) {
        let inner = self.full_text.inner.as_ref().unwrap();
        let finding = Finding::new(self.account, emails.to_vec());
        learn(&Arc::downgrade(inner), finding, &self.store.store).await.unwrap();
    }

    async fn hits(&self, words: &str) -> Hits {
        self.full_text.hits(self.account, vec![words.to_owned()]).await
    }
}

async fn append(store: &LocalStore, account: AccountId, text: &str) -> EmailId {
    let append = Append {
        mailbox: MailboxName::inbox(),
        message_id: MessageId::new(),
        flags: Flags::none(),
        internal_date: Timestamp::UNIX_EPOCH,
        body: BodySource::Bytes(Bytes::copy_from_slice(text.as_bytes())),
    };
    let placement = store.append(account, append).await.unwrap();
    store.row(placement.mailbox, placement.uid).unwrap().unwrap().email
}

#[tokio::test]
async fn messages_that_lack_the_words_are_ruled_out_and_no_others() {
    let bed = Bed::new().await;
    let base64 =
        "Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\nUXVhcnRlcmx5IHJlcG9ydA==\r\n";
    let (in_body, in_header, encoded, neither) = (
        bed.append("Subject: a\r\n\r\nThe Quarterly report\r\n").await,
        bed.append("Subject: Quarterly\r\n\r\nnothing\r\n").await,
        bed.append(base64).await,
        bed.append("Subject: b\r\n\r\nnothing\r\n").await,
    );
    bed.learn(&[in_body, in_header, encoded, neither]).await;
    let new = bed.append("Subject: c\r\n\r\nnothing\r\n").await;

    let hits = bed.hits("quarterly").await;
    for (email, rules_out_body, rules_out_text) in [
        (in_body, false, false),
        (in_header, true, false),
        (encoded, false, false),
        (neither, true, true),
        // Nobody has told the index of it.
        (new, false, false),
    ] {
        assert_eq!(hits.rule_out(email, "quarterly", false), rules_out_body, "{email}");
        assert_eq!(hits.rule_out(email, "quarterly", true), rules_out_text, "{email}");
    }
    assert!(hits.knows(neither) && !hits.knows(new));
    assert!(!hits.rule_out(neither, "never asked for", true));
    // Too short to tell.
    assert!(!bed.hits("qu").await.rule_out(neither, "qu", true));
}

#[tokio::test]
async fn learning_again_adds_only_what_is_new() {
    let bed = Bed::new().await;
    let one = bed.append("Subject: a\r\n\r\none\r\n").await;
    bed.learn(&[one]).await;
    let two = bed.append("Subject: b\r\n\r\ntwo\r\n").await;
    bed.learn(&[one, two]).await;
    assert_eq!(bed.hits("one").await.known, [one.0, two.0]);
}

#[tokio::test]
async fn an_index_of_messages_that_the_store_does_not_know_is_thrown_away() {
    let bed = Bed::new().await;
    let email = bed.append("Subject: a\r\n\r\none\r\n").await;
    bed.learn(&[email]).await;
    // Another store, as after a restore, at the same place.
    let other = TestStore::open();
    let account = other.create_account("alice@example.test").await.id;
    assert_eq!(account, bed.account);
    drop(bed.full_text);
    let full_text = FullText::start(bed.dir.path().to_owned(), other.store.clone());
    let again = append(&other.store, account, "Subject: a\r\n\r\nanother one\r\n").await;
    assert_eq!(again, email);
    let hits = full_text.hits(account, vec!["another".to_owned()]).await;
    assert!(!hits.rule_out(again, "another", true));
}

#[tokio::test]
async fn without_an_index_nothing_is_ruled_out() {
    let full_text = FullText::off();
    full_text.read_in_vain(AccountId(1), vec![EmailId(1); WORTH_LEARNING]);
    let hits = full_text.hits(AccountId(1), vec!["words".to_owned()]).await;
    assert!(!hits.knows(EmailId(1)) && !hits.rule_out(EmailId(1), "words", true));
}

#[tokio::test]
async fn the_index_of_a_removed_account_goes() {
    let bed = Bed::new().await;
    let email = bed.append("Subject: a\r\n\r\nThe words of somebody\r\n").await;
    bed.learn(&[email]).await;
    let place = bed.full_text.inner.as_ref().unwrap().place(bed.account);
    let (other, half_removed) = (place.with_file_name("A7fff"), place.with_extension(GONE_FOR_GOOD));
    std::fs::create_dir(&other).unwrap();
    std::fs::create_dir(&half_removed).unwrap();
    bed.full_text.inner.as_ref().unwrap().forget_removed(&bed.store.store);
    assert!(place.exists() && !other.exists() && !half_removed.exists());
    bed.full_text.forget(bed.account).await;
    assert!(!place.exists());
    assert!(!bed.hits("words").await.knows(email));
}

#[tokio::test]
async fn what_an_account_that_was_removed_meanwhile_said_is_not_taken_in() {
    let bed = Bed::new().await;
    let email = bed.append("Subject: a\r\n\r\nthe quarterly report\r\n").await;
    let inner = bed.full_text.inner.as_ref().unwrap();
    bed.learn(&[email]).await;
    assert!(inner.place(bed.account).exists());
    bed.full_text.forget(bed.account).await;
    assert!(Taking::begin(Arc::clone(inner), bed.account).await.unwrap().is_none());
    assert!(!inner.place(bed.account).exists());
}

#[tokio::test]
async fn the_removal_of_an_account_ends_what_was_begun() {
    let bed = Bed::new().await;
    let email = bed.append("Subject: a\r\n\r\nthe quarterly report\r\n").await;
    bed.learn(&[email]).await;
    let inner = bed.full_text.inner.as_ref().unwrap();
    let taking = Taking::begin(Arc::clone(inner), bed.account).await.unwrap().unwrap();
    assert!(taking.step(vec![(EmailId(email.0 + 1), Bytes::from_static(b"\r\nmore\r\n"))]).await);
    bed.full_text.forget(bed.account).await;
    assert!(!taking.step(vec![(EmailId(email.0 + 2), Bytes::from_static(b"\r\nmore\r\n"))]).await);
    assert_eq!(taking.end().await.unwrap(), Taken::Gone);
    assert!(!inner.place(bed.account).exists());
}

#[tokio::test]
async fn what_is_left_of_the_index_of_a_removed_account_goes_when_nobody_writes_to_it_any_more() {
    let bed = Bed::new().await;
    let email = bed.append("Subject: a\r\n\r\nthe quarterly report\r\n").await;
    bed.learn(&[email]).await;
    // As if its folder could not be removed.
    bed.store.store.remove_account(bed.account).await.unwrap();
    let place = bed.full_text.inner.as_ref().unwrap().place(bed.account);
    assert!(place.exists());
    bed.learn(&[email]).await;
    assert!(!place.exists());
}

#[tokio::test(start_paused = true)]
async fn nothing_is_taken_in_while_somebody_uses_the_server_but_it_is_in_the_end() {
    let bed = Bed::new().await;
    let email = bed.append("Subject: a\r\n\r\nthe quarterly report\r\n").await;
    let began = Instant::now();
    bed.full_text.stand_back();
    bed.learn(&[email]).await;
    assert!(began.elapsed() >= QUIET);
    assert!(bed.hits("quarterly").await.knows(email));

    let busy = bed.full_text.clone();
    let use_it = tokio::spawn(async move {
        loop {
            busy.stand_back();
            sleep(QUIET / 4).await;
        }
    });
    let another = bed.append("Subject: b\r\n\r\nthe other report\r\n").await;
    let began = Instant::now();
    bed.learn(&[another]).await;
    assert!(began.elapsed() >= PATIENCE);
    use_it.abort();
    assert!(bed.hits("other").await.knows(another));
}

#[tokio::test]
async fn what_waits_ends_with_the_last_handle() {
    let bed = Bed::new().await;
    let email = bed.append("Subject: a\r\n\r\nthe quarterly report\r\n").await;
    let inner = bed.full_text.inner.clone().unwrap();
    let (waiting, place) = (Arc::downgrade(&inner), inner.place(bed.account));
    drop((bed.full_text, inner));
    learn(&waiting, Finding::new(bed.account, vec![email]), &bed.store.store).await.unwrap();
    assert!(!place.exists());
}

#[tokio::test]
async fn a_search_finds_what_was_taken_in_while_more_is() {
    let bed = Bed::new().await;
    let known = bed.append("Subject: a\r\n\r\nthe quarterly report\r\n").await;
    bed.learn(&[known]).await;
    let inner = bed.full_text.inner.as_ref().unwrap();
    let index = inner.open(bed.account).unwrap();
    let writer = index.writer().unwrap();
    writer.add(known.0 + 1, "", "a report").unwrap();
    assert!(bed.hits("quarterly").await.knows(known));
    writer.commit().unwrap();
    assert!(bed.hits("quarterly").await.knows(EmailId(known.0 + 1)));
}
