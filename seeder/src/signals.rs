//! What the system tells a process while it runs: to stop, and to look again.
//!
//! A signal counts from the moment it is caught here; one that comes before does what the system does
//! with it, and that is the end.

#[cfg(unix)]
use std::io::{IsTerminal, stdin};

use crate::error::{Error, Result};
#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Ctrl-C, or whatever else ends a well-behaved process.
#[derive(Debug)]
pub struct Stop {
    #[cfg(unix)]
    interrupted: Signal,
    #[cfg(unix)]
    terminated: Signal,
}

impl Stop {
    /// Catches them from now on; to be called within a runtime.
    pub fn catch() -> Result<Self> {
        Ok(Self {
            #[cfg(unix)]
            interrupted: caught(SignalKind::interrupt())?,
            #[cfg(unix)]
            terminated: caught(SignalKind::terminate())?,
        })
    }

    /// Until one has come.
    pub async fn told(&mut self) {
        #[cfg(unix)]
        tokio::select! {
            _ = self.interrupted.recv() => {}
            _ = self.terminated.recv() => {}
        }
        #[cfg(not(unix))]
        let _ = tokio::signal::ctrl_c().await;
    }
}

/// SIGHUP: look again.
#[derive(Debug)]
pub struct Reload {
    #[cfg(unix)]
    hung_up: Signal,
    #[cfg(unix)]
    had_terminal: bool,
}

impl Reload {
    /// Catches them from now on; to be called within a runtime.
    pub fn catch() -> Result<Self> {
        Ok(Self {
            #[cfg(unix)]
            hung_up: caught(SignalKind::hangup())?,
            #[cfg(unix)]
            had_terminal: stdin().is_terminal(),
        })
    }

    /// Until one has come; false if it came because our terminal is gone, which is the end.
    pub async fn told(&mut self) -> bool {
        #[cfg(unix)]
        {
            self.hung_up.recv().await;
            !self.had_terminal || stdin().is_terminal()
        }
        #[cfg(not(unix))]
        std::future::pending().await
    }
}

#[cfg(unix)]
fn caught(kind: SignalKind) -> Result<Signal> {
    signal(kind).map_err(|e| Error::Other(format!("cannot listen to signals: {e}")))
}
