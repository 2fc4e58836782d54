//! `headwater seed s3://…`: a film in an object store, seeded without a copy of it.
#![cfg(feature = "s3")]

mod support;

use support::getting::{Seeder, command};
use support::origin::{Mood, Origin};
use support::{Folder, assert_refused, bytes, headwater, stderr};

const LENGTH: usize = 3_000_001;

/// `headwater seed` of a film in a bucket of this store, for whom nobody tracks.
fn seed(folder: &Folder, store: &Origin) -> std::process::Command {
    let mut seed = command(
        folder,
        &["seed", "s3://films/2026/spring.mp4", "--json", "--v2"],
    );
    seed.args(["--listen", "127.0.0.1:0", "--no-tracker"]);
    seed.args(["--tracker", "ws://127.0.0.1:9/announce"]);
    seed.env("AWS_ENDPOINT_URL", format!("http://{}", store.at));
    seed.env("AWS_ACCESS_KEY_ID", "key")
        .env("AWS_SECRET_ACCESS_KEY", "secret");
    seed.env("AWS_ALLOW_HTTP", "true")
        .env("AWS_REGION", "eu-north-1");
    seed
}

#[test]
fn a_film_in_a_bucket_is_read_once_and_fetched_again_for_who_asks() {
    let folder = Folder::new();
    let store = Origin::start(bytes(LENGTH), Mood::Honest);
    let seeder = Seeder::of(seed(&folder, &store));
    assert_eq!(store.sent(), LENGTH as u64 + 1);
    let output = headwater(&folder, &[&["get"][..], &seeder.to_peers()].concat());
    assert!(output.stdout == bytes(LENGTH), "{}", stderr(&output));
    assert_eq!(store.sent(), 2 * LENGTH as u64 + 1);
    let asked = store.asked();
    assert!(
        asked.starts_with("GET /films/2026/spring.mp4 HTTP/1.1"),
        "{asked}"
    );
    assert!(
        asked.contains("AWS4-HMAC-SHA256 Credential=key/"),
        "{asked}"
    );
    assert!(asked.contains("if-match: \"first\""), "{asked}");
    assert!(!asked.contains("secret"), "{asked}");
}

#[test]
fn an_object_that_is_replaced_is_withdrawn_and_one_that_is_not_there_is_refused() {
    let folder = Folder::new();
    let store = Origin::start(bytes(LENGTH), Mood::Honest);
    let seeder = Seeder::of(seed(&folder, &store));
    store.replace(bytes(LENGTH), "another");
    let patience = ["get", "--timeout", "1"];
    let output = headwater(&folder, &[&patience[..], &seeder.to_peers()].concat());
    assert_eq!((output.status.code(), output.stdout.len()), (Some(3), 0));
    seeder.complains("its ETag was \"first\" and is \"another\"");
    store.set_mood(Mood::NotFound);
    let output = seed(&folder, &store).output().expect("the command runs");
    assert_refused(&output, 1, "s3://films/2026/spring.mp4 changed, or is gone");
}
