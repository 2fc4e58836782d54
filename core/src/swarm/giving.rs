//! How much is given: whether at all, and how many bytes more.
//!
//! The driver decides; it knows what its upload costs. What is not given yet waits in its peers' queues.

use super::Swarm;
use crate::time::Instant;

impl Swarm {
    /// Whether pieces are given from now on. Those who are being given some when it ends are choked.
    pub fn set_upload(&mut self, now: Instant, upload: bool) {
        if self.config.upload != upload {
            self.now = now;
            self.config.upload = upload;
            self.chokes_due = Some(now);
            self.set_tick();
        }
    }

    /// Gives this many bytes of blocks more, to a block, and then none until more are allowed; `None`
    /// for as many as are asked for.
    pub fn allow_upload(&mut self, now: Instant, bytes: Option<u64>) {
        self.now = now;
        self.upload_allowance = bytes;
        self.dirty_all();
    }

    /// What is left of what [`Swarm::allow_upload`] allowed.
    pub const fn upload_allowance(&self) -> Option<u64> {
        self.upload_allowance
    }
}
