"""Other people's clients that know nothing but our tracker's address find each other.

libtorrent and aria2 over HTTP, WebTorrent in Node and bittorrent-tracker's client library over
WebSockets and HTTP. (libtorrent over WebRTC and Transmission have scripts of their own.)
"""

import json
import os
import subprocess
import urllib.request

from support import (
    NODE, PATIENCE, WEBTORRENT, Path, add, aria2, digest, film_in, finish, folder,
    in_a_network_of_our_own, lt, main, our_tracker, running, same, session, story, until,
)

LENGTH = 3_000_001
ANNOUNCING = Path(__file__).parent / "support/announcing.mjs"


def stats(announce):
    with urllib.request.urlopen(announce.replace("ws://", "http://").replace("/announce", "/stats")) as answer:
        return json.load(answer)


def over_http():
    with folder() as here, our_tracker() as websocket:
        announce = websocket.replace("ws://", "http://")
        film, torrent = film_in(here, LENGTH, announce)
        info = lt.torrent_info(str(torrent))
        seeding, wanting = session(), session()
        with story("two libtorrents over HTTP, one of which leaves"):
            add(seeding, here, info=info)
            until("the seed is tracked", lambda: stats(announce)["plainPeers"] == 1)
            viewer = add(wanting, here / "got", info=info)
            finish(viewer)
            same(here / "got/film.mp4", film)
            wanting.remove_torrent(viewer)
            until("who stops is gone", lambda: stats(announce)["plainPeers"] == 1)
        with story("aria2 gets v1 from libtorrent"):
            command = aria2(torrent, here / "by-aria2", "--seed-time=0")
            subprocess.run(command, check=True, timeout=PATIENCE)
            assert digest(here / "by-aria2/film.mp4") == digest(film)


def webtorrents():
    # Where a connection comes to nothing WebTorrent waits for its next announce.
    soon = our_tracker("--interval", "5")
    with folder() as here, soon as announce, story("WebTorrent in Node gets v1 from another"):
        film, torrent = film_in(here, LENGTH, announce)
        with running([NODE, WEBTORRENT, torrent, announce, here]) as seed:
            assert json.loads(seed.stdout.readline())["done"], "it has checked its file"
            with running([NODE, WEBTORRENT, torrent, announce, here / "got"]) as viewer:
                assert json.loads(viewer.stdout.readline())["done"]
            same(here / "got/film.mp4", film)
        assert stats(announce)["answers"] > 0


class Announcing:
    """bittorrent-tracker's client, and what it has heard."""

    def __init__(self, process):
        self.process = process
        os.set_blocking(process.stdout.fileno(), False)
        self.heard = []

    def does(self, what):
        self.process.stdin.write(f"{what}\n")
        self.process.stdin.flush()

    def hears(self, what, is_it):
        def heard():
            self.heard += [json.loads(line) for line in self.process.stdout.readlines()]
            assert not any("trouble" in one for one in self.heard), self.heard
            return any(is_it(one) for one in self.heard)

        until(f"{what}: {self.heard}", heard)
        self.heard.clear()


def the_library():
    for scheme in ("ws", "http"):
        with our_tracker() as websocket, story(f"bittorrent-tracker's client library, {scheme}://"):
            announce = websocket.replace("ws://", f"{scheme}://")
            with running([NODE, ANNOUNCING, announce, 0]) as one, running([NODE, ANNOUNCING, announce, 9]) as other:
                seed, viewer = Announcing(one), Announcing(other)
                if scheme == "ws":
                    seed.hears("the other", lambda said: said.get("connected"))
                    viewer.hears("the seed", lambda said: said.get("connected"))
                else:
                    until("both are there", lambda: stats(announce)["plainPeers"] == 2)
                viewer.does("scrape")
                viewer.hears("a scrape", lambda said: said.get("scraped") == [1, 1])
                viewer.does("complete")
                viewer.hears("that it counts as a seed", lambda said: said.get("complete") == 2)
                viewer.does("stop")
                until("it is gone", lambda: stats(announce)["peers"] == 1)


in_a_network_of_our_own()
main([over_http, webtorrents, the_library])
