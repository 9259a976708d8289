//! Where a message comes from; read in pieces, so that its size does not matter.

use std::fmt;
use std::io::{self, Cursor};
use std::os::fd::AsFd;
use std::pin::Pin;

use bytes::{Bytes, BytesMut};
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncReadExt};

const PIECE: usize = 64 * 1024;

/// The octets of a message.
pub(super) struct Source {
    reader: Pin<Box<dyn AsyncRead + Send>>,
}

impl Source {
    /// What stands here.
    pub(super) fn bytes(bytes: Vec<u8>) -> Self {
        Self { reader: Box::pin(Cursor::new(bytes)) }
    }

    /// What stands in a file.
    pub(super) async fn file(path: &str) -> io::Result<Self> {
        let file = File::open(path).await?;
        if file.metadata().await?.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        Ok(Self { reader: Box::pin(file) })
    }

    /// What comes on standard input.
    pub(super) fn stdin() -> io::Result<Self> {
        let stdin = std::fs::File::from(io::stdin().as_fd().try_clone_to_owned()?);
        Ok(Self { reader: Box::pin(File::from_std(stdin)) })
    }

    /// The next octets; empty at the end.
    pub(super) async fn next(&mut self) -> io::Result<Bytes> {
        let mut piece = BytesMut::with_capacity(PIECE);
        self.reader.read_buf(&mut piece).await?;
        Ok(piece.freeze())
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Source")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn all(mut source: Source) -> Vec<u8> {
        let mut all = Vec::new();
        loop {
            let piece = source.next().await.unwrap();
            if piece.is_empty() {
                return all;
            }
            all.extend_from_slice(&piece);
        }
    }

    #[tokio::test]
    async fn a_long_file_comes_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("message");
        let content: Vec<u8> = (0..3 * PIECE + 7).map(|at| (at % 251) as u8).collect();
        std::fs::write(&path, &content).unwrap();
        assert_eq!(all(Source::file(path.to_str().unwrap()).await.unwrap()).await, content);
        assert_eq!(all(Source::bytes(content.clone())).await, content);
    }

    #[tokio::test]
    async fn a_folder_is_no_message() {
        let folder = tempfile::tempdir().unwrap();
        let error = Source::file(folder.path().to_str().unwrap()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::IsADirectory);
    }
}
