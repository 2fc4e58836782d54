"""Headwater and libtorrent find each other in a DHT of their own, by magnet links that name nobody.

One libtorrent, which has no torrent, is the node through which the others join.
"""

import contextlib
import time

from support import (
    ADDRESS, add, content, digest, finish, folder, get, lt, main, same, seeding, session, story, torrent_file, until,
)

LENGTH = 3_000_001
LOOPBACK = {
    # Everybody here has the same address, and it is none of the world's.
    "dht_restrict_routing_ips": False,
    "dht_restrict_search_ips": False,
    "dht_prefer_verified_node_ids": False,
    "dht_ignore_dark_internet": False,
    "enable_dht": True,
}


def joined(through="") -> lt.session:
    return session(dht_bootstrap_nodes=through, **LOOPBACK)


@contextlib.contextmanager
def network():
    """A node's address, as long as it is there."""
    node = joined()
    port = until("the node listens", node.listen_port)
    yield f"{ADDRESS}:{port}"


def through(node: str):
    return "--dht", "--dht-node", node


def find(handle):
    """Has libtorrent ask the DHT until it has all: it asks at once, whether it has joined or not, and then
    not for a quarter of an hour."""
    asked = 0

    def seeds():
        nonlocal asked
        if time.monotonic() - asked > 1:
            asked = time.monotonic()
            handle.force_dht_announce()
        return handle.status().is_seeding

    until("libtorrent has found and got it", seeds)


def bare(magnet: str) -> str:
    """Without trackers."""
    return "&".join(part for part in magnet.split("&") if not part.startswith("tr="))


def they_find_us():
    for version in ("v1", "v2", "hybrid"):
        with folder() as here, network() as node, story(f"libtorrent finds our {version} film"):
            film, out = here / "film.mp4", here / "film.torrent"
            film.write_bytes(content(LENGTH))
            torrent_file(film, out, version)
            with seeding(film, "--torrent", out, "--no-tracker", *through(node)) as seeder:
                ses = joined(node)
                find(add(ses, here / "got", magnet=bare(seeder.ready["magnet"])))
                same(here / "got/film.mp4", film)


def we_find_them_and_ourselves():
    for who, version in (("libtorrent", "hybrid"), ("Headwater", "v2")):
        with folder() as here, network() as node, story(f"we find {who}'s {version} film"):
            film, out = here / "film.mp4", here / "film.torrent"
            film.write_bytes(content(LENGTH))
            info = lt.torrent_info(str(torrent_file(film, out, version)))
            with contextlib.ExitStack() as running:
                if who == "libtorrent":
                    ses = joined(node)
                    finish(add(ses, here, info=info))
                else:
                    running.enter_context(seeding(film, "--torrent", out, "--no-tracker", *through(node)))
                magnet = bare(lt.make_magnet_uri(info))
                assert get(magnet, here / "got", "--webrtc", f"{ADDRESS}:0", *through(node)) == digest(film)


main([they_find_us, we_find_them_and_ourselves])
