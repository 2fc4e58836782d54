//! Standard output, written by a thread that may wait: a player that pauses pauses the reading,
//! and nothing else.

use std::fs::File;
use std::io::{self, ErrorKind, Write};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use crate::error::{Error, Result};

/// Chunks on their way; the next one is pulled while one is written.
const CHUNKS: usize = 1;

/// The way to standard output.
#[derive(Debug)]
pub struct Pipe {
    chunks: mpsc::Sender<Bytes>,
    ended: oneshot::Receiver<io::Result<()>>,
}

impl Pipe {
    /// Opens it.
    pub fn to_stdout() -> Result<Self> {
        let out = raw_stdout().map_err(|e| Error::path("write", "standard output", e))?;
        Ok(Self::to(out))
    }

    fn to(mut out: impl Write + Send + 'static) -> Self {
        let (chunks, mut given) = mpsc::channel::<Bytes>(CHUNKS);
        let (end, ended) = oneshot::channel();
        std::thread::spawn(move || {
            let mut written = Ok(());
            while let (Ok(()), Some(chunk)) = (&written, given.blocking_recv()) {
                written = out.write_all(&chunk);
            }
            // Nobody waits any more if we were interrupted.
            let _ = end.send(written.and_then(|()| out.flush()));
        });
        Self { chunks, ended }
    }

    /// Writes it; may return while that is still under way.
    pub async fn write(&mut self, chunk: Bytes) -> Result<()> {
        match self.chunks.send(chunk).await {
            Ok(()) => Ok(()),
            Err(_) => failed((&mut self.ended).await.unwrap_or(Ok(()))),
        }
    }

    /// Until all is written.
    pub async fn finish(self) -> Result<()> {
        drop(self.chunks);
        match self.ended.await {
            Ok(Ok(())) => Ok(()),
            Ok(written) => failed(written),
            Err(_) => Err(Error::ReaderGone),
        }
    }
}

fn failed(written: io::Result<()>) -> Result<()> {
    Err(match written {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => Error::path("write", "standard output", e),
        _ => Error::ReaderGone,
    })
}

/// Without the line buffer of the usual one.
#[cfg(unix)]
fn raw_stdout() -> io::Result<File> {
    use std::os::fd::AsFd;
    Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?))
}

#[cfg(windows)]
fn raw_stdout() -> io::Result<File> {
    use std::os::windows::io::AsHandle;
    Ok(File::from(io::stdout().as_handle().try_clone_to_owned()?))
}
