//! From how far away an address can be reached, and so who may be believed about it.
//!
//! A tracker out in the world that names addresses on our own machine or network would have us
//! knock at doors that it cannot reach itself.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Ports below are other protocols': nobody is called there on a tracker's word.
const FIRST_PORT: u16 = 1024;

/// From how far away an address can be reached.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Reach {
    /// From this machine.
    Machine,
    /// From networks that are not the public one.
    Network,
    /// From everywhere.
    World,
}

impl Reach {
    /// Of this address; `None` if nobody can be there.
    pub fn of(ip: IpAddr) -> Option<Self> {
        match ip.to_canonical() {
            IpAddr::V4(ip) => Self::of_v4(ip),
            IpAddr::V6(ip) => Self::of_v6(ip),
        }
    }

    const fn of_v4(ip: Ipv4Addr) -> Option<Self> {
        let [first, second, ..] = ip.octets();
        let is_shared = first == 100 && second & 0xc0 == 64;
        let is_reserved = first == 0 || first >= 224 || ip.is_documentation();
        if is_reserved {
            None
        } else if ip.is_loopback() {
            Some(Self::Machine)
        } else if ip.is_private() || ip.is_link_local() || is_shared {
            Some(Self::Network)
        } else {
            Some(Self::World)
        }
    }

    const fn of_v6(ip: Ipv6Addr) -> Option<Self> {
        let is_documentation = ip.segments()[0] == 0x2001 && ip.segments()[1] == 0xdb8;
        if ip.is_unspecified() || ip.is_multicast() || is_documentation {
            None
        } else if ip.is_loopback() {
            Some(Self::Machine)
        } else if ip.segments()[0] & 0xe000 == 0x2000 {
            // What is handed out of the public address space; translated and tunnelled addresses
            // lead to IPv4 ones that are not looked at, so they do not count as public.
            match ip.segments()[0] == 0x2002 {
                true => None,
                false => Some(Self::World),
            }
        } else if ip.is_unique_local() || ip.is_unicast_link_local() {
            Some(Self::Network)
        } else {
            None
        }
    }

    /// Whether a tracker of this reach may send us to `peer`.
    pub fn may_name(self, peer: SocketAddr) -> bool {
        peer.port() >= FIRST_PORT && Self::of(peer.ip()).is_some_and(|reach| reach >= self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_tracker_names_only_what_is_as_far_away_as_itself() {
        let all = [
            "127.0.0.1:6881",
            "[::1]:6881",
            "10.1.2.3:6881",
            "[fe80::1]:6881",
            "8.8.8.8:6881",
        ];
        let named = |reach: Reach| all.map(|text| reach.may_name(peer(text)));
        assert_eq!(named(Reach::World), [false, false, false, false, true]);
        assert_eq!(named(Reach::Network), [false, false, true, true, true]);
        assert_eq!(named(Reach::Machine), [true; 5]);
    }

    #[test]
    fn disguises_and_places_where_nobody_is_do_not_count() {
        for text in [
            "[::ffff:127.0.0.1]:6881",
            "[::ffff:192.168.0.1]:6881",
            "[::127.0.0.1]:6881",
            "[64:ff9b::7f00:1]:6881",
            "[2002:7f00:1::]:6881",
            "0.0.0.0:6881",
            "255.255.255.255:6881",
            "224.0.0.1:6881",
            "100.64.0.1:6881",
            "169.254.169.254:6881",
            "8.8.8.8:0",
            "8.8.8.8:25",
        ] {
            assert!(!Reach::World.may_name(peer(text)), "{text}");
        }
        assert!(Reach::Machine.may_name(peer("[::ffff:127.0.0.1]:6881")));
    }
}
