use bytes::Bytes;
use proto::mail::Recipient;

use super::super::tests::{Faulty, new_message, parts};
use super::*;
use crate::spool::Accepted;

#[tokio::test]
async fn domains_that_wait_to_be_looked_up_cost_no_task_and_have_their_turn() {
    const DOMAINS: usize = LOOKUPS + 10;
    let folder = tempfile::tempdir().unwrap();
    let queue = Queue::new(parts(folder.path(), Faulty::open(folder.path())));
    let address = |n| Recipient { address: format!("bob@d{n}.test"), ..Recipient::default() };
    let message = new_message((0..DOMAINS).map(address).collect());
    let accepted = queue.parts.spool.accept(message, Bytes::from_static(b"x")).await.unwrap();
    let Accepted::New(message) = accepted else { panic!("known") };
    queue.admit(&message);
    let unit = queue.scheduler.lock().start(queue.pace.now()).unwrap();
    let hand = Arc::new(Hand::new(&queue, unit));
    for index in 0..DOMAINS as u32 {
        let domain: Arc<str> = format!("d{index}.test").into();
        let settings = Arc::default();
        let piece = Piece {
            hand: Arc::clone(&hand),
            message: Arc::clone(&message),
            recipients: vec![index],
            domain: (&*domain).into(),
            is_mailbox: false,
        };
        let key = (Arc::clone(&domain), address_of(&settings));
        queue.look_up(key, Route::Mx { domain, settings }, piece);
    }
    drop(hand);
    assert_eq!(queue.workers.len(), LOOKUPS);
    queue.workers.close();
    queue.workers.wait().await;
    // Nothing was found out about any of them, so each waits for its next attempt.
    assert_eq!(queue.len(), DOMAINS);
}
