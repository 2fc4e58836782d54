"""WebTorrent in Node and Headwater over WebRTC, met at bittorrent-tracker: each way.

WebTorrent takes a hybrid for the v1 torrent it is, too; we read and check both. What it has it has
from us, and it is asked for it when we are gone.
"""

import json

from support import (
    ADDRESS, NODE, WEBTORRENT, digest, film_in, folder, get, in_a_network_of_our_own, main, running, same,
    seeding, story, trackers,
)

LENGTH = 3_000_001


def each_way():
    for version in ("v1", "hybrid"):
        for source in ("torrent", "magnet"):
            with folder() as here, trackers() as at, story(f"{version} by {source}, to WebTorrent and back"):
                announce = at["websocket"]
                film, torrent = film_in(here, LENGTH, announce, version)
                with seeding(film, "--torrent", torrent, "--no-tracker", "--no-tcp") as seeder:
                    given = {"torrent": torrent, "magnet": seeder.ready["magnet"]}[source]
                    with running([NODE, WEBTORRENT, given, announce, here / "got"]) as webtorrent:
                        assert json.loads(webtorrent.stdout.readline())["done"]
                        same(here / "got/film.mp4", film)
                        seeder.process.terminate()
                        seeder.process.wait(10)
                        back = get(given, here / "back", "--no-tcp", "--webrtc", f"{ADDRESS}:0")
                        assert back == digest(film)


in_a_network_of_our_own()
main([each_way])
