"""Headwater and libtorrent over WebRTC, through our tracker: each way, v1 and hybrid.

In a network of its own, for libtorrent offers no loopback address.
"""

from support import (
    ADDRESS, add, digest, film_in, finish, folder, get, in_a_network_of_our_own, lt, main, our_tracker, same,
    seeding, session, story,
)

LENGTH = 3_000_001


def each_way():
    for version in ("v1", "hybrid"):
        with folder() as here, our_tracker() as announce, story(f"{version}, each way"):
            film, torrent = film_in(here, LENGTH, announce, version)
            ses = session(enable_incoming_tcp=False, enable_outgoing_tcp=False)
            with seeding(film, "--torrent", torrent, "--no-tracker", "--no-tcp"):
                finish(add(ses, here / "got", info=lt.torrent_info(str(torrent))))
                same(here / "got/film.mp4", film)
            assert get(torrent, here / "back", "--no-tcp", "--webrtc", f"{ADDRESS}:0") == digest(film)


in_a_network_of_our_own()
main([each_way])
