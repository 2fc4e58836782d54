//! Where a request may lead.
//!
//! A torrent is a stranger's: what it names must be out in the world, or whoever makes torrents
//! could have us ask the machines of our own network in our name. What a person typed may be
//! anywhere, but a redirect from there leads no nearer to us than the world or where we were sent.

use std::net::IpAddr;

use headwater_core::tracker::http::Reach;
use hyper::Uri;

/// Whose word it is that an origin is good.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trust {
    /// The person's, who named it.
    Person,
    /// The torrent's, and the person lets torrents lead anywhere.
    Allowed,
    /// The torrent's.
    Torrent,
}

impl Trust {
    /// Whether a request may go to this address, as far as can be told without asking for a name.
    pub fn may_lead_to(self, url: &str) -> bool {
        let uri = url.parse::<Uri>();
        let host = uri.as_ref().ok().and_then(Uri::host).unwrap_or_default();
        let ip = host.trim_start_matches('[').trim_end_matches(']').parse();
        ip.map_or(true, |ip| self.allows(ip, None))
    }

    /// Whether a request may go there; `home` is where the first one of a row of redirects went.
    pub(super) fn allows(self, ip: IpAddr, home: Option<IpAddr>) -> bool {
        let reach = Reach::of(ip);
        match (self, reach) {
            (_, None) => false,
            (_, Some(Reach::World)) | (Self::Allowed, _) => true,
            (Self::Torrent, _) => false,
            (Self::Person, _) => home.is_none_or(|home| Reach::of(home) == reach),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_says_itself_where_it_is_need_not_be_tried() {
        assert!(!Trust::Torrent.may_lead_to("http://127.0.0.1:8080/files/film.mp4"));
        assert!(!Trust::Torrent.may_lead_to("http://[fd00::1]/film.mp4"));
        assert!(Trust::Torrent.may_lead_to("https://films.example/film.mp4"));
        assert!(Trust::Torrent.may_lead_to("https://93.184.216.34/film.mp4"));
        assert!(Trust::Allowed.may_lead_to("http://127.0.0.1:8080/film.mp4"));
    }

    #[test]
    fn a_torrent_leads_into_the_world_alone_and_a_redirect_no_nearer() {
        let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
        let world = ip("93.184.216.34");
        for inner in [
            "127.0.0.1",
            "::1",
            "10.0.0.1",
            "192.168.1.1",
            "172.16.0.1",
            "169.254.169.254",
            "100.64.0.1",
            "fe80::1",
            "fd00::1",
            "::ffff:127.0.0.1",
        ] {
            assert!(!Trust::Torrent.allows(ip(inner), None), "{inner}");
            assert!(Trust::Allowed.allows(ip(inner), None), "{inner}");
            assert!(Trust::Person.allows(ip(inner), None), "{inner}");
            assert!(Trust::Person.allows(ip(inner), Some(ip(inner))), "{inner}");
            assert!(!Trust::Person.allows(ip(inner), Some(world)), "{inner}");
        }
        assert!(!Trust::Person.allows(ip("10.0.0.1"), Some(ip("127.0.0.1"))));
        for trust in [Trust::Torrent, Trust::Allowed, Trust::Person] {
            assert!(trust.allows(world, Some(ip("127.0.0.1"))));
            assert!(!trust.allows(ip("0.0.0.0"), None));
        }
    }
}
