//! How much may be given: bytes a second, and bytes in all.
//!
//! It counts. The swarm, which is allowed a part at a time, obeys.

use std::cell::RefCell;
use std::rc::Rc;

use headwater_core::bucket::Bucket;
use headwater_core::swarm::Swarm;
use headwater_core::time::Instant;

/// What is allowed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limits {
    /// Bytes a second; 0 for no limit.
    pub(crate) rate: u64,
    /// Bytes in all; `None` for no limit.
    pub(crate) bytes: Option<u64>,
}

/// What is left of it.
#[derive(Debug)]
pub(crate) struct Purse {
    bucket: Option<Bucket>,
    left: Option<u64>,
}

impl Purse {
    pub(crate) fn new(limits: Limits, now: Instant) -> Self {
        Self {
            bucket: (limits.rate > 0).then(|| Bucket::new(limits.rate, now)),
            left: limits.bytes,
        }
    }

    fn is_limited(&self) -> bool {
        self.bucket.is_some() || self.left.is_some()
    }

    fn take(&mut self, now: Instant, bytes: u64) {
        if let Some(bucket) = &mut self.bucket {
            bucket.take(bytes as usize);
            bucket.fill(now);
        }
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(bytes);
        }
    }

    fn room(&self) -> u64 {
        let now = self.bucket.as_ref().map_or(usize::MAX, Bucket::room);
        self.left.unwrap_or(u64::MAX).min(now as u64)
    }
}

/// One torrent's share of its own limits and of those of all torrents together.
#[derive(Debug)]
pub(crate) struct Giving {
    own: Purse,
    all: Rc<RefCell<Purse>>,
    /// What the swarm was allowed last.
    allowed: Option<u64>,
}

impl Giving {
    pub(crate) const fn new(own: Purse, all: Rc<RefCell<Purse>>) -> Self {
        Self {
            own,
            all,
            allowed: None,
        }
    }

    /// Other limits of its own from now on; what was given before does not count against them.
    pub(crate) fn set_own(&mut self, now: Instant, limits: Limits, swarm: &mut Swarm) {
        let unused = swarm.upload_allowance().unwrap_or(0);
        let used = self.allowed.take().unwrap_or(0).saturating_sub(unused);
        self.all.borrow_mut().take(now, used);
        self.own = Purse::new(limits, now);
        let is_limited = self.own.is_limited() || self.all.borrow().is_limited();
        swarm.allow_upload(now, is_limited.then_some(0));
    }

    /// Counts what the swarm gave, and allows it more when it has used what it was allowed: less, when
    /// others have used it.
    pub(crate) fn allow(&mut self, now: Instant, swarm: &mut Swarm) {
        let mut all = self.all.borrow_mut();
        if !self.own.is_limited() && !all.is_limited() {
            return;
        }
        let left = swarm.upload_allowance();
        let used = self.allowed.unwrap_or(0).saturating_sub(left.unwrap_or(0));
        self.own.take(now, used);
        all.take(now, used);
        self.allowed = left;
        let bytes = self.own.left.into_iter().chain(all.left).min();
        if left.is_some_and(|left| left > 0 && bytes.is_none_or(|bytes| left <= bytes)) {
            return;
        }
        let room = self.own.room().min(all.room());
        if left != Some(room) {
            swarm.allow_upload(now, Some(room));
        }
        self.allowed = Some(room);
    }

    /// When there may be more for a swarm that has used up what it was allowed.
    pub(crate) fn deadline(&self, swarm: &Swarm) -> Option<Instant> {
        if swarm.upload_allowance() != Some(0) || self.left(swarm) == Some(0) {
            return None;
        }
        let all = self.all.borrow();
        let buckets = [&self.own.bucket, &all.bucket];
        buckets
            .iter()
            .filter_map(|bucket| bucket.as_ref())
            .map(Bucket::refill_at)
            .max()
    }

    /// Bytes that may still be given, ever; `None` for no limit.
    pub(crate) fn left(&self, swarm: &Swarm) -> Option<u64> {
        let used = self
            .allowed
            .unwrap_or(0)
            .saturating_sub(swarm.upload_allowance().unwrap_or(0));
        let left = |purse: &Purse| purse.left.map(|left| left.saturating_sub(used));
        [left(&self.own), left(&self.all.borrow())]
            .into_iter()
            .flatten()
            .min()
    }
}
