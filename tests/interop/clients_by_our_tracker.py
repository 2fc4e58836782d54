"""libtorrents and aria2 that know nothing but our tracker's address over HTTP find each other.

HEADWATER=target/debug/headwater python clients_by_our_tracker.py

One has a file, the others want it; the tracker counts them, and one less when one stops.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
import warnings
from pathlib import Path

warnings.simplefilter("ignore", DeprecationWarning)

import libtorrent as lt  # noqa: E402

HEADWATER = sys.argv[1] if len(sys.argv) > 1 else os.environ["HEADWATER"]
PATIENCE = 60


def session():
    return lt.session(
        {
            "listen_interfaces": "127.0.0.1:0",
            "enable_dht": False,
            "enable_lsd": False,
            "enable_upnp": False,
            "enable_natpmp": False,
            "allow_multiple_connections_per_ip": True,
            "ssrf_mitigation": False,
            "webtorrent_stun_server": "",
        }
    )


def until(is_so, what):
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < deadline, f"not in {PATIENCE} s: {what}"
        time.sleep(0.05)


def main():
    command = [HEADWATER, "track", "--json", "--listen", "127.0.0.1:0", "--drain", "0"]
    tracker = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        url = json.loads(tracker.stdout.readline())["tracker"].replace("ws://", "http://")
        meet(url)
    finally:
        tracker.terminate()
        assert tracker.wait(PATIENCE) == 0, "it ends when told to"


def meet(url):
    def stats():
        with urllib.request.urlopen(url.replace("/announce", "/stats")) as answer:
            return json.load(answer)

    with tempfile.TemporaryDirectory() as folder:
        there, here = Path(folder, "there"), Path(folder, "here")
        there.mkdir(), here.mkdir()
        content = os.urandom(3_000_001)
        Path(there, "film.mp4").write_bytes(content)
        made = lt.create_torrent(lt.list_files(str(there / "film.mp4")), 64 << 10, lt.create_torrent.v1_only)
        made.add_tracker(url)
        lt.set_piece_hashes(made, str(there))
        torrent = lt.torrent_info(lt.bdecode(lt.bencode(made.generate())))
        seeding, wanting = session(), session()

        def add(to, folder):
            params = lt.add_torrent_params()
            params.ti, params.save_path = torrent, str(folder)
            return to.add_torrent(params)

        seed = add(seeding, there)
        until(lambda: seed.status().is_seeding, "the seed has checked its file")
        until(lambda: stats()["plainPeers"] >= 1, "the seed is tracked")
        viewer = add(wanting, here)
        until(lambda: viewer.status().is_seeding, "the other has the file")
        assert Path(here, "film.mp4").read_bytes() == content
        by_aria2(lt.bencode(made.generate()), Path(folder, "by-aria2"), content)
        before = stats()["plainPeers"]
        wanting.remove_torrent(viewer)
        until(lambda: stats()["plainPeers"] < before, "who stops is gone")
    print("two libtorrents and aria2 met at our tracker, and one left it")


def by_aria2(torrent, where, content):
    where.mkdir()
    Path(where, "film.torrent").write_bytes(torrent)
    flags = [
        "--no-conf=true", "--console-log-level=warn", "--summary-interval=0", "--disable-ipv6=true",
        "--enable-dht=false", "--bt-enable-lpd=false", "--enable-peer-exchange=false",
        "--interface=127.0.0.1", "--listen-port=20000-29999", "--seed-time=0", f"--dir={where}",
    ]
    command = ["aria2c", *flags, str(where / "film.torrent")]
    subprocess.run(command, check=True, timeout=PATIENCE / 3)
    assert Path(where, "film.mp4").read_bytes() == content


main()
