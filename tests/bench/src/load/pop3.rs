//! A POP3 client that reads messages and keeps none.

use anyhow::{Context as _, ensure};

use super::wire::{Door, Wire};
use crate::system::PASSWORD;

/// What it reads at a time.
const READ: usize = 256 << 10;

/// A session, logged in.
pub(crate) struct Pop3 {
    wire: Wire,
}

impl Pop3 {
    /// Connects and logs in.
    pub(crate) async fn log_in(door: &Door, account: &str) -> anyhow::Result<Self> {
        let mut wire = door.connect().await.with_context(|| format!("cannot connect to {}", door.address))?;
        wire.read_at_a_time(READ);
        let mut pop3 = Self { wire };
        pop3.status("connecting").await?;
        pop3.run(&format!("USER {account}")).await?;
        pop3.run(&format!("PASS {PASSWORD}")).await?;
        Ok(pop3)
    }

    /// Reads a message: its octets.
    pub(crate) async fn retrieve(&mut self, number: u64) -> anyhow::Result<u64> {
        self.run(&format!("RETR {number}")).await?;
        Ok(self.wire.skip_message().await?)
    }

    /// Ends the session.
    pub(crate) async fn quit(mut self) -> anyhow::Result<()> {
        self.run("QUIT").await
    }

    async fn run(&mut self, command: &str) -> anyhow::Result<()> {
        self.wire.send(format!("{command}\r\n").as_bytes()).await?;
        self.status(command).await
    }

    async fn status(&mut self, command: &str) -> anyhow::Result<()> {
        let line = self.wire.line().await?;
        ensure!(line.starts_with(b"+OK"), "the reply to {command} was {}", String::from_utf8_lossy(line));
        Ok(())
    }
}
