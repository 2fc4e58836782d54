"""Natives among themselves: Headwater to Headwater beside libtorrent to libtorrent, and hashing.

Prints one measurement a line; `cargo xtask bench peers` makes the table of them. Everything is in
memory (/dev/shm), in a network of its own with one ordinary address; the runs are interleaved.

usage: peers.py [--case NAME]
"""

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "interop"))
from support import (  # noqa: E402
    ADDRESS, HEADWATER, add, digest, finish, folder, in_a_network_of_our_own, lt, running, seeding, session,
    torrent_file, until,
)

SIZE = int(os.environ.get("SIZE_MIB", 512)) << 20
RUNS = int(os.environ.get("RUNS", 5))
TICKS = os.sysconf("SC_CLK_TCK")
WANTED = sys.argv[2] if sys.argv[1:2] == ["--case"] else ""


def emit(case, side, metrics):
    for metric, unit, value in metrics:
        row = {"case": case, "metric": metric, "unit": unit, "side": side, "value": value}
        print(json.dumps(row), flush=True)


def cpu(pid) -> float:
    """Seconds a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def figures(seconds, seeder, leecher):
    return [
        ("rate, start to last byte", "MB/s", SIZE / 1e6 / seconds),
        ("CPU of the seeder", "s/GB", seeder / (SIZE / 1e9)),
        ("CPU of the other", "s/GB", leecher / (SIZE / 1e9)),
    ]


def ours(here, film, torrent, flags):
    """`headwater seed` and `headwater get`."""
    with seeding(film, "--torrent", torrent, *flags(None)) as seeder:
        seeder_before, before, begun = cpu(seeder.process.pid), children_cpu(), time.monotonic()
        with (here / "got").open("wb") as out:
            command = [HEADWATER, "get", torrent, "-o", "-", "--quiet", *flags(seeder)]
            subprocess.run(list(map(str, command)), stdout=out, check=True, timeout=600)
        seconds = time.monotonic() - begun
        used = cpu(seeder.process.pid) - seeder_before
        return figures(seconds, used, children_cpu() - before)


def theirs(here, torrent, transport):
    """Two processes of libtorrent, this script twice more."""
    got = here / "theirs"
    got.mkdir(exist_ok=True)
    with running([sys.executable, __file__, "--seed", torrent, here, transport]) as seeder:
        port = json.loads(seeder.stdout.readline())["port"]
        with running([sys.executable, __file__, "--get", torrent, got, transport, port]) as leecher:
            json.loads(leecher.stdout.readline())
            before = cpu(seeder.pid), cpu(leecher.pid)
            begun = time.monotonic()
            leecher.stdin.write("go\n")
            leecher.stdin.flush()
            json.loads(leecher.stdout.readline())
            seconds = time.monotonic() - begun
            measured = figures(seconds, cpu(seeder.pid) - before[0], cpu(leecher.pid) - before[1])
            json.loads(leecher.stdout.readline())
            return measured


def libtorrent_session(transport):
    tcp = transport == "tcp"
    return session(enable_outgoing_tcp=tcp, enable_incoming_tcp=tcp, alert_mask=0)


def libtorrent_seed(torrent, where, transport):
    ses = libtorrent_session(transport)
    handle = add(ses, Path(where), info=lt.torrent_info(torrent))
    finish(handle)
    port = until("libtorrent listens", ses.listen_port) if transport == "tcp" else 0
    print(json.dumps({"port": port}), flush=True)
    sys.stdin.read()


def libtorrent_get(torrent, where, transport, port):
    ses = libtorrent_session(transport)
    print(json.dumps({"ready": True}), flush=True)
    sys.stdin.readline()
    handle = add(ses, Path(where), info=lt.torrent_info(torrent))
    if transport == "tcp":
        handle.connect_peer((ADDRESS, int(port)))
    while not handle.status().is_seeding:
        time.sleep(0.005)
    print(json.dumps({"done": True}), flush=True)
    # It writes a little after it says that it has it.
    ses.apply_settings({"alert_mask": lt.alert.category_t.storage_notification})
    handle.flush_cache()
    until("libtorrent has written", lambda: any(isinstance(a, lt.cache_flushed_alert) for a in ses.pop_alerts()))
    print(json.dumps({"written": True}), flush=True)
    sys.stdin.read()


def transfers(version, transport):
    case = f"{'TCP' if transport == 'tcp' else 'WebRTC'}, {version}"
    if not case.startswith(WANTED):
        return
    with folder() as here, running([HEADWATER, "track", "--json", "--listen", f"{ADDRESS}:0"]) as tracker:
        announce = json.loads(tracker.stdout.readline())["tracker"]
        film = here / "film.mp4"
        film.write_bytes(os.urandom(SIZE))
        torrent = torrent_file(film, here / "film.torrent", version, [announce], "1MiB")

        def flags(seeder):
            if transport == "webrtc":
                return ["--no-tcp"] if seeder else ["--no-tcp", "--no-tracker"]
            return ["--peer", "%s:%d" % seeder.tcp, "--webrtc", f"{ADDRESS}:0"] if seeder else ["--no-tracker"]

        for run in range(1, RUNS + 1):
            for side in ("ours", "theirs"):
                measured = ours(here, film, torrent, flags) if side == "ours" else theirs(here, torrent, transport)
                if run == 1:
                    got = here / ("got" if side == "ours" else "theirs/film.mp4")
                    until(f"{got} is whole", lambda: got.exists() and digest(got) == digest(film))
                for got in (here / "got", here / "theirs/film.mp4"):
                    got.unlink(missing_ok=True)
                words = ", ".join(f"{value:.2f} {unit}" for _, unit, value in measured)
                print(f"{case}, run {run} of {RUNS}, {side}: {words}", flush=True)
                emit(case, side, measured)


def hashing():
    """`headwater create` beside sha256sum and openssl, one core and all of them."""
    if not "hashing".startswith(WANTED):
        return
    cores = os.cpu_count()
    with folder() as here:
        film = here / "film"
        film.write_bytes(os.urandom(SIZE))
        part = SIZE // cores
        parts = [f"dd if={film} bs=1M skip={n * part >> 20} count={part >> 20} status=none | sha256sum" for n in range(cores)]
        out = here / "film.torrent"
        create = [HEADWATER, "create", film, "--v2", "--piece-length", "1MiB", "-o", out]
        one = ["taskset", "-c", "0"]
        rivals = {
            "hashing, one core, against sha256sum": (one, [*one, "sha256sum", film]),
            "hashing, one core, against openssl": (one, [*one, "openssl", "dgst", "-sha256", film]),
            "hashing, all cores, against as many sha256sum": ([], ["sh", "-c", " & ".join(parts) + " & wait"]),
            "hashing, all cores, against ours on one": ([], [*one, *create]),
        }
        for _ in range(RUNS):
            for case, (pin, rival) in rivals.items():
                for side, command in (("ours", [*pin, *create]), ("theirs", rival)):
                    out.unlink(missing_ok=True)
                    begun = time.monotonic()
                    subprocess.run(list(map(str, command)), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                    emit(case, side, [("rate", "MB/s", SIZE / 1e6 / (time.monotonic() - begun))])


if sys.argv[1:2] == ["--seed"]:
    libtorrent_seed(*sys.argv[2:])
elif sys.argv[1:2] == ["--get"]:
    libtorrent_get(*sys.argv[2:])
else:
    in_a_network_of_our_own()
    os.environ["TMPDIR"] = "/dev/shm"
    for version in ("v1", "v2"):
        transfers(version, "tcp")
    transfers("v1", "webrtc")
    hashing()
