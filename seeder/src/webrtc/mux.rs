//! Whose datagram is it: peers by source address, and by ICE user name before that is known.
//!
//! Bookkeeping only. An address counts as a peer's once its ICE agent has answered a check from
//! there, which it does only for one who knows its password; until then the address may send
//! nothing but STUN.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use headwater_core::ids::PeerKey;

use super::datagram::{
    BINDING_ERROR, BINDING_REQUEST, BINDING_SUCCESS, local_user_name, stun_type,
};

/// Most addresses one peer may be reached at.
const MAX_ADDRESSES: usize = 16;

#[derive(Debug, Default)]
pub(super) struct Mux {
    addresses: BTreeMap<SocketAddr, Owner>,
    user_names: BTreeMap<String, PeerKey>,
}

#[derive(Debug)]
struct Owner {
    peer: PeerKey,
    /// Has answered with this peer's credentials.
    proven: bool,
}

impl Mux {
    /// The peer with this local ICE user name fragment exists.
    pub(super) fn add(&mut self, peer: PeerKey, user_name: &str) {
        self.user_names.insert(user_name.to_owned(), peer);
    }

    /// That peer is gone.
    pub(super) fn remove(&mut self, peer: PeerKey) {
        self.user_names.retain(|_, owner| *owner != peer);
        self.addresses.retain(|_, owner| owner.peer != peer);
    }

    /// The peer a datagram is for, if it can be for one.
    pub(super) fn route(&self, from: SocketAddr, datagram: &[u8]) -> Option<PeerKey> {
        match stun_type(datagram) {
            Some(BINDING_REQUEST) => {
                let user_name = local_user_name(datagram)?;
                self.user_names.get(user_name).copied()
            }
            Some(_) => self.addresses.get(&from).map(|owner| owner.peer),
            None => self
                .addresses
                .get(&from)
                .filter(|owner| owner.proven)
                .map(|owner| owner.peer),
        }
    }

    /// Learns from what a peer's ICE agent sends.
    ///
    /// An address stays with the peer that proved it first, until that one is gone: who can
    /// forge source addresses must not take another's.
    pub(super) fn sent(&mut self, peer: PeerKey, to: SocketAddr, datagram: &[u8]) {
        let proven = match stun_type(datagram) {
            Some(BINDING_SUCCESS) => true,
            Some(BINDING_REQUEST | BINDING_ERROR) => false,
            _ => return,
        };
        match self.addresses.get_mut(&to) {
            Some(owner) if owner.peer == peer => owner.proven |= proven,
            Some(owner) if owner.proven || !proven => {}
            Some(owner) => *owner = Owner { peer, proven },
            None => {
                let owned = self.addresses.values().filter(|o| o.peer == peer).count();
                if owned < MAX_ADDRESSES {
                    self.addresses.insert(to, Owner { peer, proven });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::datagram::tests::stun;
    use super::*;

    #[test]
    fn an_address_belongs_to_who_was_answered_there_first() {
        let (one, two) = (PeerKey(1), PeerKey(2));
        let (here, there) = ("192.0.2.1:5".parse(), "192.0.2.1:6".parse());
        let (here, there) = (here.expect("valid"), there.expect("valid"));
        let data = [23, 254, 253, 0];
        let mut mux = Mux::default();
        mux.add(one, "one");
        mux.add(two, "two");
        assert_eq!(mux.route(here, &stun(BINDING_REQUEST, "one:x")), Some(one));
        assert_eq!(mux.route(here, &stun(BINDING_REQUEST, "none:x")), None);
        assert_eq!(mux.route(here, &data), None);
        // A check we make opens the address to STUN alone.
        mux.sent(one, here, &stun(BINDING_REQUEST, "x:one"));
        assert_eq!(mux.route(here, &stun(BINDING_SUCCESS, "")), Some(one));
        assert_eq!(mux.route(here, &data), None);
        mux.sent(one, here, &stun(BINDING_SUCCESS, ""));
        assert_eq!(mux.route(here, &data), Some(one));
        // Another may not take it, until the first is gone.
        mux.sent(two, here, &stun(BINDING_SUCCESS, ""));
        assert_eq!(mux.route(here, &data), Some(one));
        mux.remove(one);
        assert_eq!(mux.route(here, &data), None);
        mux.sent(two, here, &stun(BINDING_SUCCESS, ""));
        assert_eq!(mux.route(here, &data), Some(two));
        assert_eq!(mux.route(there, &data), None);
    }

    #[test]
    fn a_peer_owns_a_bounded_number_of_addresses() {
        let mut mux = Mux::default();
        for port in 1..=1000 {
            let to = SocketAddr::from(([192, 0, 2, 1], port));
            mux.sent(PeerKey(1), to, &stun(BINDING_SUCCESS, ""));
        }
        assert_eq!(mux.addresses.len(), MAX_ADDRESSES);
    }

    #[test]
    fn cut_stun_is_nobodys() {
        let mut mux = Mux::default();
        mux.add(PeerKey(1), "one");
        let from = SocketAddr::from(([192, 0, 2, 1], 5));
        let whole = stun(BINDING_REQUEST, "one:x");
        for length in 0..whole.len() {
            assert_eq!(mux.route(from, &whole[..length]), None);
        }
    }
}
