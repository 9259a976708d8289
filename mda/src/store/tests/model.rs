//! Random operations: the rows are the same live, after a crash, after reclaim and made anew from the journal.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Deliver(u8),
    Flag(u32, bool),
    /// By somebody other than the owner.
    See(u32, u32, bool),
    Expunge(u32, u32),
    Copy(u32, u8),
    Move(u32, u8),
    Create(u8),
    Delete(u8),
    Rename(u8, u8),
    Subscribe(u8, bool),
    Reclaim(u8),
    Reopen,
}

const NAMES: [&str; 5] = ["INBOX", "Archive", "a", "a/b", "c"];

fn step() -> impl Strategy<Value = Step> {
    let place = 0..5_u8;
    prop_oneof![
        6 => place.clone().prop_map(Step::Deliver),
        3 => (1..12_u32, any::<bool>()).prop_map(|(uid, on)| Step::Flag(uid, on)),
        3 => (1..12_u32, 0..3_u32, any::<bool>()).prop_map(|(uid, more, on)| Step::See(uid, uid + more, on)),
        2 => (1..12_u32, 0..3_u32).prop_map(|(uid, more)| Step::Expunge(uid, uid + more)),
        1 => (1..12_u32, place.clone()).prop_map(|(uid, to)| Step::Copy(uid, to)),
        2 => (1..12_u32, place.clone()).prop_map(|(uid, to)| Step::Move(uid, to)),
        1 => place.clone().prop_map(Step::Create),
        1 => place.clone().prop_map(Step::Delete),
        1 => (place.clone(), place.clone()).prop_map(|(from, to)| Step::Rename(from, to)),
        1 => (place, any::<bool>()).prop_map(|(place, on)| Step::Subscribe(place, on)),
        2 => any::<u8>().prop_map(Step::Reclaim),
        1 => Just(Step::Reopen),
    ]
}

async fn run(bed: Bed, alice: AccountId, bob: AccountId, step: &Step) -> Bed {
    let store = &bed.store;
    let place = |n: u8| name(NAMES[usize::from(n)]);
    let id = inbox(store, alice).id;
    // Refusals are part of the game.
    match *step {
        Step::Deliver(to) => {
            let mut to_alice = recipient(alice, "alice@example.test");
            to_alice.mailbox = place(to);
            let text = "x".repeat(700);
            let mut delivery = delivery(MessageId::new(), &text, vec![to_alice]);
            if to % 2 == 1 {
                delivery.body = staged(store, &text).await;
            }
            drop(store.deliver(delivery).await.unwrap());
        }
        Step::Flag(uid, on) => {
            let change = if on { FlagChange::Add(seen()) } else { FlagChange::Remove(seen()) };
            drop(store.store_flags(id, uids(&[uid]), change, None).await.unwrap());
        }
        Step::See(first, last, on) => {
            let change = if on { FlagChange::Add(seen()) } else { FlagChange::Remove(seen()) };
            drop(store.store_flags_as(id, bob, (first..=last).collect(), change, None).await.unwrap());
        }
        Step::Expunge(first, last) => drop(store.expunge(id, (first..=last).collect(), false).await.unwrap()),
        Step::Copy(uid, to) => drop(store.copy(id, uids(&[uid]), place(to)).await),
        Step::Move(uid, to) => drop(store.move_messages(id, uids(&[uid]), place(to)).await),
        Step::Create(at) => drop(store.create_mailbox(alice, place(at), None).await),
        Step::Delete(at) => drop(store.delete_mailbox(alice, place(at)).await),
        Step::Rename(from, to) => drop(store.rename_mailbox(alice, place(from), place(to)).await),
        Step::Subscribe(at, on) => store.set_subscribed(alice, place(at), on).await.unwrap(),
        Step::Reclaim(which) => {
            let store = store.clone();
            let reclaim = move || {
                let segments = store.segments();
                store.reclaim_segment(segments[usize::from(which) % segments.len()]).unwrap()
            };
            tokio::task::spawn_blocking(reclaim).await.unwrap();
        }
        Step::Reopen => return bed.reopened().await,
    }
    bed
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn the_rows_are_what_the_journal_says(steps in proptest::collection::vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let dir = TempDir::new().unwrap();
            let store = LocalStore::open(StoreConfig { segment_bytes: 4 << 10, ..config(dir.path()) }).unwrap().0;
            let mut bed = Bed { store, dir };
            let alice = create_account(&bed.store, "alice@example.test").await;
            let bob = create_account(&bed.store, "bob@example.test").await;
            for step in &steps {
                bed = run(bed, alice, bob, step).await;
            }
            let live = seen_by(&bed.store, alice).await;
            check_counters(&live);
            let marks = marks_of(&bed.store, alice, bob).await;
            let crashed = bed.crashed();
            assert_eq!(seen_by(&crashed.store, alice).await, live);
            assert_eq!(marks_of(&crashed.store, alice, bob).await, marks);
            bed.store.close().await.unwrap();
            LocalStore::rebuild(config(bed.dir.path()), |_| ()).unwrap();
            let rebuilt = open(bed.dir.path());
            assert_eq!(seen_by(&rebuilt, alice).await, live);
            assert_eq!(marks_of(&rebuilt, alice, bob).await, marks);
        });
    }
}

/// What Bob made of the messages in Alice's mailboxes.
async fn marks_of(store: &LocalStore, alice: AccountId, bob: AccountId) -> Vec<(MailboxName, Uid, SeenMark)> {
    let mut marks = Vec::new();
    for mailbox in store.mailboxes(alice).unwrap() {
        let seen = store.seen(mailbox.id, bob).await.unwrap();
        let of = |uid| Some((mailbox.name.clone(), uid, seen.of(uid)?));
        marks.extend((1..100).filter_map(of));
    }
    marks
}

/// The counters say what counting the rows says.
fn check_counters(seen: &Seen) {
    for (mailbox, status) in seen.mailboxes.iter().zip(&seen.status) {
        let rows = &seen.rows[mailbox.name.as_str()];
        assert_eq!(status.messages as usize, rows.len());
        assert_eq!(
            status.unseen as usize,
            rows.iter().filter(|(row, _)| !row.flags.has(SystemFlag::Seen)).count()
        );
        assert_eq!(status.octets, rows.iter().map(|(row, _)| row.size).sum::<u64>());
        assert!(rows.iter().all(|(row, _)| row.uid < status.uid_next && row.modseq <= status.highest_modseq));
    }
}
