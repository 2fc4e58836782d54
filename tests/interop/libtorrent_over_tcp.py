"""Headwater and libtorrent over ordinary BitTorrent connections: each way, each version.

A magnet link has no hashes of pieces: of a v2 torrent libtorrent asks us for them, and we ask it.
"""

from support import (
    ADDRESS, add, content, digest, finish, folder, get, lt, main, same, seeding, session,
    story, torrent_file, until,
)

LENGTH = 3_000_001
VERSIONS = {"v1": ["--v1"], "v2": ["--v2"], "hybrid": []}


def we_seed():
    for version, flags in VERSIONS.items():
        for source in ("torrent", "magnet"):
            with folder() as here, story(f"libtorrent gets {version} from us by {source}"):
                film, out = here / "film.mp4", here / "film.torrent"
                film.write_bytes(content(LENGTH))
                with seeding(film, "--out", out, "--piece-length", "64KiB", *flags) as seeder:
                    ses, where = session(), here / "got"
                    if source == "torrent":
                        info = lt.torrent_info(str(out))
                        handle = add(ses, where, info=info)
                    else:
                        handle = add(ses, where, magnet=seeder.ready["magnet"])
                    handle.connect_peer(seeder.tcp)
                    finish(handle)
                    same(where / "film.mp4", film)


def they_seed():
    for version in VERSIONS:
        for source in ("torrent", "magnet"):
            with folder() as here, story(f"we get {version} from libtorrent by {source}"):
                film, out = here / "film.mp4", here / "film.torrent"
                film.write_bytes(content(LENGTH))
                info = lt.torrent_info(str(torrent_file(film, out, version)))
                ses = session()
                handle = add(ses, here, info=info)
                finish(handle)
                peer = f"{ADDRESS}:{ses.listen_port()}"
                given = out if source == "torrent" else lt.make_magnet_uri(info)
                assert get(given, here / "got", "--peer", peer) == digest(film)


def a_folder_with_padding():
    with folder() as here, story("libtorrent gets a hybrid folder from us, and we from it"):
        for name, length in [("set/a", 16_385), ("set/deep/b", 700_000), ("set/empty", 0), ("set/z", 1)]:
            path = here / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content(length))
        out = here / "set.torrent"
        with seeding(here / "set", "--out", out) as seeder:
            ses, where = session(), here / "got"
            handle = add(ses, where, magnet=seeder.ready["magnet"])
            handle.connect_peer(seeder.tcp)
            finish(handle)
            for name in ("a", "deep/b", "empty", "z"):
                same(where / "set" / name, here / "set" / name)
        peer = f"{ADDRESS}:{ses.listen_port()}"
        got = get(out, here / "b", "--peer", peer, "--file", "deep/b")
        assert got == digest(here / "set/deep/b")


def they_call_and_are_called():
    with folder() as here, story("a seeder of ours calls a libtorrent that waits"):
        film, out = here / "film.mp4", here / "film.torrent"
        film.write_bytes(content(LENGTH))
        info = lt.torrent_info(str(torrent_file(film, out, "hybrid")))
        ses, where = session(), here / "got"
        handle = add(ses, where, info=info)
        port = until("libtorrent listens", ses.listen_port)
        with seeding(film, "--torrent", out, "--no-tracker", "--peer", f"{ADDRESS}:{port}"):
            finish(handle)
        same(where / "film.mp4", film)


main([we_seed, they_seed, a_folder_with_padding, they_call_and_are_called])
