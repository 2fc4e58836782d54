//! What systemd is told: that we are ready, look again, and stop (`sd_notify(3)`, `Type=notify`).
//!
//! Says nothing where nobody listens, as on every terminal.

/// Everything is ready, at first or again; so many torrents are seeded.
pub fn ready(torrents: usize) {
    say(&format!("READY=1\nSTATUS=Seeding {torrents} torrents"));
}

/// We look again at what is to be seeded.
pub fn reloading() {
    say("RELOADING=1");
}

/// We were told to stop.
pub fn stopping() {
    say("STOPPING=1");
}

#[cfg(target_os = "linux")]
fn say(words: &str) {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    let Ok(path) = std::env::var("NOTIFY_SOCKET") else {
        return;
    };
    let address = match path.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(&path),
    };
    let sent = address
        .and_then(|address| UnixDatagram::unbound()?.send_to_addr(words.as_bytes(), &address));
    if let Err(e) = sent {
        tracing::debug!("systemd was not told {words}: {e}");
    }
}

#[cfg(not(target_os = "linux"))]
fn say(_: &str) {}
