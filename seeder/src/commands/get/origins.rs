//! Which web servers are asked: those the person named, then those the torrent brings.

use hyper::Uri;
use tracing::info;

use super::given::Lead;
use crate::config::{Get, Given, is_http};
use crate::origin::{Origin, Trust};

/// All of them. A web seed on the host that the torrent came from is as good as named: the person
/// typed that host.
pub fn origins(get: &Get, lead: &Lead) -> Vec<Origin> {
    let of = |url: &String, trust| Origin {
        url: url.clone(),
        trust,
    };
    let named = get.origins.iter().map(|url| of(url, Trust::Person));
    let home = match &get.given {
        Given::Url(url) => host_of(url),
        Given::File(_) | Given::Magnet(_) => None,
    };
    let brought = lead.web_seeds().iter().filter(|url| is_http(url));
    let brought = brought.filter_map(|url| {
        let trust = match get.web_seeds? {
            Trust::Torrent if home.is_some() && host_of(url) == home => Trust::Person,
            trust => trust,
        };
        Some(of(url, trust))
    });
    named.chain(brought.filter(may_be_asked)).collect()
}

/// A seeder on our own network names itself in what it makes. That it is not asked is no trouble
/// while its peers are there, so it is said to those who want to know.
fn may_be_asked(origin: &Origin) -> bool {
    let may = origin.trust.may_lead_to(&origin.url);
    if !may {
        info!(
            "web seed {} is at an address of a private network, where a torrent may not lead us; \
             --private-web-seeds lets it",
            origin.url
        );
    }
    may
}

fn host_of(url: &str) -> Option<String> {
    let url = url.split('#').next()?.parse::<Uri>().ok()?;
    url.authority()
        .map(|host| host.as_str().to_ascii_lowercase())
}
