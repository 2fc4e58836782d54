"""Transmission and Headwater meet at an ordinary HTTP tracker, each way.

Transmission calls nobody on loopback, so this has a network of its own.
"""

import itertools
import subprocess

from support import add as add_to_libtorrent
from support import (
    digest, film_in, folder, get, in_a_network_of_our_own, lt, main, our_tracker, running, same, seeding,
    session, story, tracker, until,
)

LENGTH = 3_000_001

# Two for each daemon, below those that connections get: nobody else takes them in a network of our own.
PORTS = itertools.count(21_000, 2)

# An address of its own: Transmission knows peers by their addresses without the ports, itself among them.
AT = "10.99.0.2"

# Transmission looks at whom it serves every ten seconds, and at new peers when it likes.
LONG = 180


def transmission(here, where):
    """The daemon, and how to talk to it. It prefers encryption, which we do not speak, unless told otherwise."""
    settings = here / "transmission"
    settings.mkdir()
    port = next(PORTS)
    rpc = port + 1
    command = [
        "transmission-daemon", "--foreground", "--config-dir", settings, "--port", str(rpc), "--no-auth",
        "--allowed", "10.99.0.*", "--rpc-bind-address", AT, "--bind-address-ipv4", AT,
        "--peerport", str(port), "--no-dht", "--no-lpd", "--no-utp", "--no-portmap",
        "--download-dir", where, "--encryption-tolerated", "--log-error",
    ]
    remote = ["transmission-remote", f"{AT}:{rpc}"]
    return command, remote


def listens(remote):
    until("Transmission listens", lambda: listed(remote))


def listed(remote):
    return subprocess.run([*remote, "--list"], capture_output=True, text=True).stdout


def add(remote, *words):
    subprocess.run([*remote, "--add", *words], check=True, stdout=subprocess.DEVNULL)


def it_gets():
    with folder() as here, tracker() as announce, story("Transmission gets v1 from us"):
        film, torrent = film_in(here, LENGTH, announce)
        command, remote = transmission(here, here / "got")
        with seeding(film, "--torrent", torrent, "--no-tracker"), running(command):
            listens(remote)
            add(remote, torrent)
            until("Transmission has it", (here / "got/film.mp4").exists, LONG)
        same(here / "got/film.mp4", film)


def it_seeds():
    with folder() as here, tracker() as announce, story("we get v1 from Transmission"):
        film, torrent = film_in(here, LENGTH, announce)
        command, remote = transmission(here, here)
        with running(command):
            listens(remote)
            add(remote, torrent)
            until("Transmission seeds", lambda: "100%" in listed(remote))
            assert get(torrent, here / "got", patience=LONG) == digest(film)


def it_meets_libtorrent():
    with folder() as here, our_tracker() as websocket, story("Transmission gets v1 from libtorrent, by our tracker"):
        film, torrent = film_in(here, LENGTH, websocket.replace("ws://", "http://"))
        ses = session()
        add_to_libtorrent(ses, here, info=lt.torrent_info(str(torrent)))
        command, remote = transmission(here, here / "got")
        with running(command):
            listens(remote)
            add(remote, torrent)
            until("Transmission has it", (here / "got/film.mp4").exists, LONG)
        same(here / "got/film.mp4", film)


in_a_network_of_our_own()
main([it_gets, it_seeds, it_meets_libtorrent])
