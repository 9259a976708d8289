//! SMTP over sockets: drivers around the state machines of the `smtp` crate.

use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::AsyncRead;

pub mod client;
pub mod envelope;
pub mod server;
#[cfg(test)]
mod testing;
mod tls;

pub use tls::TlsFacts;

const fn minutes(count: u64) -> Duration {
    Duration::from_secs(60 * count)
}

/// Reads what has arrived already, without waiting for any more.
async fn read_now(stream: &mut (impl AsyncRead + Unpin), input: &mut BytesMut) {
    std::future::poll_fn(|task| {
        // If the connection is broken, the next read that waits will find it so too.
        let _ = tokio_util::io::poll_read_buf(Pin::new(&mut *stream), task, input);
        Poll::Ready(())
    })
    .await;
}
