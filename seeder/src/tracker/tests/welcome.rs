//! Who may open a socket at all, and whom it counts for.

use super::*;

#[tokio::test]
async fn pages_of_other_origins_and_sockets_too_many_are_turned_away() {
    let origins = vec!["https://films.example".to_owned()];
    let (_handle, url) = tracker(TrackerConfig {
        origins,
        max_connections: 2,
        ..TrackerConfig::default()
    })
    .await;
    let from = |origin: &str| {
        let mut request = url.as_str().into_client_request().unwrap();
        request
            .headers_mut()
            .insert("origin", origin.parse().unwrap());
        request
    };
    let status = |tried: Result<_, Error>| match tried {
        Err(Error::Http(response)) => response.status().as_u16(),
        Err(other) => panic!("{other}"),
        Ok(_) => 101,
    };
    assert_eq!(
        status(
            connect_async(from("https://elsewhere.example"))
                .await
                .map(|_| ())
        ),
        403
    );
    let _page = connect_async(from("https://films.example")).await.unwrap();
    let _program = connect(&url).await;
    assert_eq!(status(connect_async(url.as_str()).await.map(|_| ())), 503);
}

/// Fields of a request that a test writes.
struct Written(&'static [(&'static str, &'static str)]);

impl web::Fields for Written {
    fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.0.iter().rev();
        fields
            .find(|(one, _)| *one == name)
            .map(|(_, value)| *value)
    }
}

#[test]
fn only_a_named_proxy_is_believed_about_addresses() {
    let proxy: IpAddr = "10.0.0.1".parse().unwrap();
    let handle = TrackerHandle::new(TrackerConfig {
        proxies: vec![proxy],
        ..TrackerConfig::default()
    })
    .unwrap();
    let fields = Written(&[("x-forwarded-for", "1.1.1.1, 198.51.100.7")]);
    let client = |seen| web::client_of(handle.shared(), seen, &fields);
    let stranger: IpAddr = "203.0.113.9".parse().unwrap();
    assert_eq!(client(stranger), stranger);
    assert_eq!(client(proxy), "198.51.100.7".parse::<IpAddr>().unwrap());
}

#[test]
fn sockets_of_one_address_have_a_limit() {
    let handle = TrackerHandle::new(TrackerConfig {
        max_connections_per_address: 2,
        ..TrackerConfig::default()
    })
    .unwrap();
    let (here, there): (IpAddr, IpAddr) =
        ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
    let shared = handle.shared();
    assert!(shared.admit(here) && shared.admit(here) && !shared.admit(here));
    assert!(shared.admit(there));
    shared.dismiss(here);
    assert!(shared.admit(here));
}
