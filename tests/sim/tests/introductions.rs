//! A peer that carries offers for its neighbours: what goes where, what is too much, and who lies in vain.

use std::collections::BTreeMap;

use headwater_core::ids::{InfoHashV1, InfoHashes, OfferId, PeerId, PeerKey};
use headwater_core::metainfo::{Limits, Magnet, Metainfo};
use headwater_core::peer::{Fault, Transport};
use headwater_core::pex::{MAX_TRIES, News, Wish};
use headwater_core::swarm::{Config, Input, Output, Source, Swarm};
use headwater_core::time::{Duration, Instant};
use headwater_core::wire::extended::ExtendedHandshake;
use headwater_core::wire::introduction::{HW_INTRODUCE, Introduction};
use headwater_core::wire::{Decoder, Features, Frame, Handshake, Message};
use headwater_sim::secs;

const OWN: PeerId = PeerId(*b"-HW0100-............");
/// The id the neighbours give the extension.
const THEIR_ID: u8 = 9;
const SDP: &str = "v=0\r\n";

/// What a neighbour was told: `offer`, `answer` or `refusal`, the offer's name, and hops.
type Told = (&'static str, u8, u8);

/// One neighbour, played by hand.
#[derive(Default)]
struct Neighbour {
    decoder: Decoder,
    /// The id that we give the extension, once we named it.
    our_id: Option<u8>,
    told: Vec<Told>,
}

/// A peer among neighbours.
struct Scene {
    swarm: Swarm,
    now: Instant,
    neighbours: BTreeMap<PeerKey, Neighbour>,
    news: Vec<News>,
    faults: Vec<(PeerKey, Fault)>,
}

fn peer_id(number: u64) -> PeerId {
    let mut id = *b"-HW0100-000000000000";
    id[12..].copy_from_slice(&number.to_be_bytes());
    PeerId(id)
}

const fn id(number: u8) -> OfferId {
    OfferId([number; 20])
}

fn offer(number: u8, from: u64, hops: u8) -> Introduction<'static> {
    Introduction::Offer {
        id: id(number),
        from: peer_id(from),
        hops,
        sdp: SDP,
    }
}

fn answer(number: u8, from: u64) -> Introduction<'static> {
    Introduction::Answer {
        id: id(number),
        from: peer_id(from),
        sdp: SDP,
    }
}

fn refusal(number: u8) -> Introduction<'static> {
    Introduction::Refusal { id: id(number) }
}

impl Scene {
    /// With neighbours 1 to `neighbours`.
    fn with(neighbours: u64) -> Self {
        let magnet = Magnet::new(InfoHashes::V1(InfoHashV1([3; 20])));
        Self::of(Source::Magnet(Box::new(magnet)), neighbours)
    }

    fn of(source: Source, neighbours: u64) -> Self {
        let mut scene = Self {
            swarm: Swarm::new(Config::new(OWN, 1), source),
            now: secs(100),
            neighbours: BTreeMap::new(),
            news: Vec::new(),
            faults: Vec::new(),
        };
        (1..=neighbours).for_each(|number| scene.meet(number));
        scene.news.clear();
        scene
    }

    fn meet(&mut self, number: u64) {
        let peer = PeerKey(number);
        self.neighbours.insert(peer, Neighbour::default());
        let name = String::new();
        let (transport, dialled) = (Transport::WebRtc, false);
        self.tell(Input::Opened {
            peer,
            transport,
            dialled,
            name,
        });
        self.tell(Input::Writable {
            peer,
            room: 1 << 20,
            queued: 0,
        });
        let mut bytes = Vec::new();
        let hello = Handshake {
            features: Features::ALL,
            swarm: self.swarm.info_hashes().announced(),
            peer_id: peer_id(number),
        };
        hello.encode(&mut bytes);
        let extensions = ExtendedHandshake {
            m: [(HW_INTRODUCE.to_owned(), THEIR_ID)].into(),
            ..ExtendedHandshake::default()
        };
        let payload = extensions.to_payload();
        let (id, payload) = (0, &payload[..]);
        Message::Extended { id, payload }.encode(&mut bytes);
        self.tell(Input::Received(peer, &bytes));
    }

    fn tell(&mut self, input: Input<'_>) {
        self.swarm.handle_input(self.now, input);
        while let Some(output) = self.swarm.poll_output() {
            match output {
                Output::Close(peer, fault) => {
                    self.neighbours.remove(&peer);
                    self.faults.extend(fault.map(|fault| (peer, fault)));
                }
                Output::Introduction(news) => self.news.push(news),
                Output::Send(peer, bytes) => {
                    if let Some(neighbour) = self.neighbours.get_mut(&peer) {
                        neighbour.hear(&bytes);
                    }
                }
                _ => {}
            }
        }
    }

    fn says(&mut self, number: u64, introduction: &Introduction<'_>) {
        let peer = PeerKey(number);
        let payload = introduction.to_payload();
        let Some(id) = self.neighbours.get(&peer).and_then(|one| one.our_id) else {
            return;
        };
        let mut bytes = Vec::new();
        let payload = &payload[..];
        Message::Extended { id, payload }.encode(&mut bytes);
        self.tell(Input::Received(peer, &bytes));
        self.tell(Input::Writable {
            peer,
            room: 1 << 20,
            queued: 0,
        });
    }

    fn leaves(&mut self, number: u64) {
        self.neighbours.remove(&PeerKey(number));
        self.tell(Input::Closed(PeerKey(number)));
    }

    fn pass(&mut self, seconds: u64) {
        let until = self.now + Duration::from_secs(seconds);
        while let Some(due) = self.swarm.poll_timeout().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.tell(Input::TimedOut);
        }
        self.now = until;
    }

    /// What a neighbour was told since the last time.
    fn told(&mut self, number: u64) -> Vec<Told> {
        let neighbour = self.neighbours.get_mut(&PeerKey(number));
        neighbour
            .map(|one| std::mem::take(&mut one.told))
            .unwrap_or_default()
    }

    /// Who holds an offer, having been told of it since the last time.
    fn holder(&mut self) -> Option<u64> {
        let all: Vec<u64> = self.neighbours.keys().map(|key| key.0).collect();
        all.into_iter()
            .find(|number| self.told(*number).iter().any(|told| told.0 == "offer"))
    }
}

impl Neighbour {
    fn hear(&mut self, mut bytes: &[u8]) {
        while let Ok(Some(frame)) = self.decoder.next(&mut bytes) {
            match frame {
                Frame::Message(Message::Extended { id: 0, payload }) => {
                    let said = ExtendedHandshake::parse(payload).expect("a handshake");
                    self.our_id = said.id_of(HW_INTRODUCE);
                }
                Frame::Message(Message::Extended {
                    id: THEIR_ID,
                    payload,
                }) => match Introduction::parse(payload).expect("our own words") {
                    Introduction::Offer { id, hops, .. } => {
                        self.told.push(("offer", id.0[0], hops));
                    }
                    Introduction::Answer { id, .. } => self.told.push(("answer", id.0[0], 0)),
                    Introduction::Refusal { id } => self.told.push(("refusal", id.0[0], 0)),
                    Introduction::Unknown => {}
                },
                _ => {}
            }
        }
    }
}

#[test]
fn an_offer_goes_to_one_other_neighbour_and_its_answer_comes_back_once() {
    for others in [2, 20, 60] {
        let mut scene = Scene::with(others);
        scene.says(1, &offer(7, 1, 1));
        let holder = scene.holder().expect("somebody");
        assert_ne!(holder, 1);
        assert_eq!(scene.holder(), None, "one, however many there are");
        scene.says(holder, &answer(7, holder));
        scene.says(holder, &answer(7, holder));
        assert_eq!(scene.told(1), [("answer", 7, 0)]);
        assert!(scene.news.is_empty(), "it is none of our own business");
    }
}

#[test]
fn an_offer_that_nobody_wants_is_shown_to_few_and_comes_back_refused() {
    let mut scene = Scene::with(20);
    scene.says(1, &offer(7, 1, 2));
    let mut shown = Vec::new();
    while let Some(holder) = scene.holder() {
        assert!(!shown.contains(&holder));
        shown.push(holder);
        scene.says(holder, &refusal(7));
        if shown.len() == MAX_TRIES {
            break;
        }
    }
    assert_eq!(shown.len(), MAX_TRIES);
    assert_eq!(scene.told(1), [("refusal", 7, 0)]);
}

#[test]
fn who_leaves_with_an_offer_in_its_hands_is_replaced_and_silence_ends_in_a_refusal() {
    let mut scene = Scene::with(20);
    scene.says(1, &offer(7, 1, 1));
    let first = scene.holder().expect("somebody");
    scene.leaves(first);
    assert!(scene.holder().is_some_and(|second| second != first));
    scene.pass(30);
    assert_eq!(scene.told(1), [("refusal", 7, 0)]);
}

#[test]
fn only_who_holds_an_offer_may_answer_it() {
    let mut scene = Scene::with(4);
    scene.says(1, &offer(7, 1, 1));
    let holder = scene.holder().expect("somebody");
    for liar in (1..=4).filter(|one| *one != holder) {
        scene.says(liar, &answer(7, liar));
        scene.says(liar, &refusal(7));
    }
    assert_eq!(scene.told(1), []);
    scene.says(holder, &answer(7, holder));
    assert_eq!(scene.told(1), [("answer", 7, 0)]);
}

#[test]
fn a_flood_of_offers_reaches_the_others_a_few_times_and_ends_the_connection() {
    let mut scene = Scene::with(10);
    let mut carried = 0;
    for number in 0..200 {
        scene.says(1, &offer(number, 1, 1));
        if let Some(holder) = scene.holder() {
            carried += 1;
            scene.says(holder, &answer(number, holder));
        }
    }
    assert_eq!(carried, 4, "at once; then one every five seconds");
    assert_eq!(scene.faults, [(PeerKey(1), Fault::Flood)]);
}

#[test]
fn made_up_strangers_reach_us_twenty_times_a_minute_at_the_most_whoever_brings_them() {
    let mut scene = Scene::with(50);
    for minute in 0..2 {
        for second in 0..60 {
            for liar in 1..=50 {
                scene.says(
                    liar,
                    &offer((second * 4 + liar % 4) as u8, 1000 + second, 0),
                );
            }
            scene.pass(1);
        }
        let brought = std::mem::take(&mut scene.news).len();
        let most = if minute == 0 { 28 } else { 20 };
        assert!(brought <= most, "{brought} in a minute");
    }
}

#[test]
fn an_offer_for_us_is_told_unless_we_know_who_makes_it() {
    let mut scene = Scene::with(3);
    for (number, from) in [(1, 2), (2, 77)] {
        scene.says(1, &offer(number, from, 0));
    }
    assert_eq!(scene.told(1), [("refusal", 1, 0)]);
    let expected = News::Offered {
        via: PeerKey(1),
        id: id(2),
        from: peer_id(77),
        sdp: SDP.into(),
    };
    assert_eq!(scene.news, [expected]);
    let sdp = SDP.to_owned();
    let (via, id) = (PeerKey(1), id(2));
    scene.tell(Input::Wished(Wish::Answer { via, id, sdp }));
    assert_eq!(scene.told(1), [("answer", 2, 0)]);
}

#[test]
fn an_offer_of_ours_goes_to_a_neighbour_to_be_passed_on_and_comes_back_answered_or_refused() {
    let mut scene = Scene::with(3);
    let wish = |number| Wish::Introduce {
        id: id(number),
        sdp: SDP.into(),
    };
    scene.tell(Input::Wished(wish(1)));
    let told: Vec<(u64, Told)> = (1..=3)
        .flat_map(|one| scene.told(one).into_iter().map(move |told| (one, told)))
        .collect();
    let [(via, ("offer", 1, hops))] = told[..] else {
        panic!("one offer, not {told:?}");
    };
    assert!(
        (1..=2).contains(&hops),
        "it is not for the neighbour itself"
    );
    scene.says(via, &answer(1, 50));
    assert!(matches!(scene.news[..], [News::Answered { .. }]));
    scene.tell(Input::Wished(wish(2)));
    scene.pass(30);
    assert_eq!(scene.news[1..], [News::Declined { id: id(2) }]);
    (1..=3).for_each(|one| scene.leaves(one));
    scene.tell(Input::Wished(wish(3)));
    let declined = News::Declined { id: id(3) };
    assert_eq!(scene.news.last(), Some(&declined));
}

#[test]
fn a_private_torrent_has_no_introductions() {
    let torrent = [
        &b"d4:infod6:lengthi16384e4:name1:a12:piece lengthi16384e6:pieces20:"[..],
        &[7; 20],
        b"7:privatei1eee",
    ]
    .concat();
    let metainfo = Metainfo::parse(&torrent, &Limits::BROWSER).expect("a torrent");
    let mut scene = Scene::of(Source::Metainfo(Box::new(metainfo)), 3);
    assert!(scene.neighbours.values().all(|one| one.our_id.is_none()));
    let sdp = SDP.into();
    scene.tell(Input::Wished(Wish::Introduce { id: id(1), sdp }));
    assert_eq!(scene.news, [News::Declined { id: id(1) }]);
    assert_eq!(scene.holder(), None);
}
