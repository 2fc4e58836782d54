"""libtorrent and aria2 meet Headwater at an ordinary HTTP tracker, each way."""

import subprocess

from support import (
    PATIENCE, add, aria2, digest, film_in, finish, folder, get, lt, main, running, same, seeding, session, story,
    tracker,
)

LENGTH = 3_000_001


def libtorrent_both_ways():
    for version in ("v1", "v2", "hybrid"):
        with folder() as here, tracker() as announce, story(f"libtorrent, {version}, through a tracker"):
            film, out = film_in(here, LENGTH, announce, version)
            ses = session(announce_to_all_trackers=True)
            with seeding(film, "--torrent", out, "--no-tracker"):
                handle = add(ses, here / "got", info=lt.torrent_info(str(out)))
                finish(handle)
                same(here / "got/film.mp4", film)
            assert get(out, here / "back") == digest(film)


def aria2_gets():
    with folder() as here, tracker() as announce, story("aria2 gets v1 from us"):
        film, out = film_in(here, LENGTH, announce)
        with seeding(film, "--torrent", out, "--no-tracker"):
            subprocess.run(aria2(out, here / "got", "--seed-time=0"), check=True, timeout=PATIENCE)
        same(here / "got/film.mp4", film)


def aria2_seeds():
    with folder() as here, tracker() as announce, story("we get v1 from aria2"):
        film, out = film_in(here, LENGTH, announce)
        flags = ["--check-integrity=true", "--bt-seed-unverified=true", "--seed-ratio=0.0"]
        with running(aria2(out, here, *flags)):
            assert get(out, here / "got") == digest(film)


main([libtorrent_both_ways, aria2_gets, aria2_seeds])
