//! Clients that take a server's time: some never speak, others send an octet now and then.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use pipeline_tests::eventually_within;

/// How often those who speak send an octet.
const BETWEEN_OCTETS: Duration = Duration::from_millis(200);

/// Clients that are served by one thread. Dropping them ends it.
pub(crate) struct Guests {
    shared: Arc<Shared>,
    /// `None` once it has been waited for.
    host: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    is_over: AtomicBool,
    /// Guests that never speak and whose connections are open.
    silent: AtomicUsize,
    /// Guests whose connections the server has ended.
    gone: AtomicUsize,
}

struct Guest {
    stream: TcpStream,
    words: &'static [u8],
    said: usize,
}

impl Guests {
    /// Connects `each` guests to each address that never speak, and as many that say `words`, over and over if they end.
    pub(crate) fn invite(addresses: &[SocketAddr], each: usize, words: &'static [u8]) -> Self {
        let shared = Arc::new(Shared::default());
        let mut guests = Vec::new();
        for _ in 0..each {
            for address in addresses {
                for words in [&[], words] {
                    match Guest::connect(*address, words) {
                        Some(guest) => guests.push(guest),
                        None => drop(shared.gone.fetch_add(1, Ordering::Relaxed)),
                    }
                }
            }
        }
        shared.count(&guests);
        let host = thread::spawn({
            let shared = Arc::clone(&shared);
            move || shared.entertain(guests)
        });
        Self { shared, host: Some(host) }
    }

    /// Waits until the servers have had enough of all who never speak.
    ///
    /// # Panics
    /// If they have not after so long.
    pub(crate) fn wait_until_the_silent_are_gone(&self, longest: Duration) {
        eventually_within(longest, "the silent to be sent away", || {
            (self.shared.silent.load(Ordering::Relaxed) == 0).then_some(())
        });
    }

    /// Ends what is open, and tells how many the servers had sent away before.
    ///
    /// # Panics
    /// If the guests' thread did.
    pub(crate) fn leave(mut self) -> usize {
        self.end().expect("the guests");
        self.shared.gone.load(Ordering::Relaxed)
    }

    fn end(&mut self) -> thread::Result<()> {
        self.shared.is_over.store(true, Ordering::Relaxed);
        self.host.take().map_or(Ok(()), JoinHandle::join)
    }
}

impl Drop for Guests {
    fn drop(&mut self) {
        // Who leaves without asking what became of them has failed already.
        let _ = self.end();
    }
}

impl Shared {
    fn entertain(&self, mut guests: Vec<Guest>) {
        while !self.is_over.load(Ordering::Relaxed) {
            let before = guests.len();
            guests.retain_mut(Guest::goes_on);
            self.gone.fetch_add(before - guests.len(), Ordering::Relaxed);
            self.count(&guests);
            thread::sleep(BETWEEN_OCTETS);
        }
    }

    fn count(&self, guests: &[Guest]) {
        let silent = guests.iter().filter(|guest| guest.words.is_empty()).count();
        self.silent.store(silent, Ordering::Relaxed);
    }
}

impl Guest {
    fn connect(address: SocketAddr, words: &'static [u8]) -> Option<Self> {
        let stream = TcpStream::connect(address).ok()?;
        stream.set_nonblocking(true).ok()?;
        Some(Self { stream, words, said: 0 })
    }

    /// Says the next octet and hears what there is. Whether the server still listens.
    fn goes_on(&mut self) -> bool {
        if let Some(octet) = self.words.get(self.said % self.words.len().max(1)) {
            self.said += 1;
            if self.stream.write(&[*octet]).is_err_and(|error| error.kind() != ErrorKind::WouldBlock) {
                return false;
            }
        }
        let mut buffer = [0; 4096];
        match self.stream.read(&mut buffer) {
            Ok(length) => length > 0,
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        }
    }
}
