"""ffprobe, ffmpeg and curl read what `headwater seed` and `headwater get --serve` serve, and seek in it.

HEADWATER=target/debug/headwater python players_read_what_is_served.py

What they make of it must be what they make of the file itself.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HEADWATER = sys.argv[1] if len(sys.argv) > 1 else os.environ["HEADWATER"]
SAMPLE = Path(__file__).resolve().parent.parent / "sample"
FILMS = ["headwater-sample.mp4", "headwater-sample.webm"]
PATIENCE = 60


def started(*args: str) -> subprocess.Popen:
    return subprocess.Popen([HEADWATER, *args], stdout=subprocess.PIPE, text=True)


def said(process: subprocess.Popen, key: str) -> dict:
    """The first JSON line that has this key."""
    return next(line for line in map(json.loads, process.stdout) if key in line)


def output(*command: object) -> bytes:
    done = subprocess.run([str(part) for part in command], capture_output=True, timeout=PATIENCE)
    assert done.returncode == 0, f"{command}: {done.stderr.decode()}"
    return done.stdout


def probe(source: object) -> dict:
    entries = "format=format_name,duration,size:stream=codec_name,width,height,nb_frames,duration"
    probed = json.loads(output("ffprobe", "-v", "error", "-of", "json", "-show_entries", entries, source))
    probed.pop("programs", None)
    return probed


def frames(source: object, at: float) -> bytes:
    """Checksums of the first ten frames from a second on."""
    return output(
        "ffmpeg", "-v", "error", "-ss", at, "-i", source, "-frames:v", 10, "-an", "-f", "framemd5", "-"
    )


def check(film: Path, url: str, server: str) -> None:
    assert probe(url) == probe(film), film.name
    duration = float(probe(film)["format"]["duration"])
    # There and back: each is a seek over HTTP.
    for part in [0.9, 0.1, 0.5, 0.75, 0]:
        at = round(duration * part, 3)
        assert frames(url, at) == frames(film, at), f"{film.name} at {at} s"
    whole = film.read_bytes()
    assert output("curl", "-sSf", url) == whole, film.name
    assert output("curl", "-sSf", "-r", "1000-1999", url) == whole[1000:2000]
    assert output("curl", "-sSf", "-r", "-500", url) == whole[-500:]
    # As curl goes on with what it had begun.
    with tempfile.NamedTemporaryFile() as part:
        part.write(whole[:12345])
        part.flush()
        output("curl", "-sSf", "-C", "-", "-o", part.name, url)
        assert Path(part.name).read_bytes() == whole
    print(f"{film.name} from {server}: as the file itself")


def main() -> None:
    seeder = started("seed", "--json", "--listen", "127.0.0.1:0", *(str(SAMPLE / film) for film in FILMS))
    try:
        for film, links in zip(FILMS, said(seeder, "torrents")["torrents"], strict=True):
            site = links["torrent"].partition("/torrents/")[0]
            check(SAMPLE / film, f"{site}/files/{film}", "seed")
            getter = started("get", "--json", "--serve", "127.0.0.1:0", links["magnet"])
            try:
                check(SAMPLE / film, said(getter, "playlist")["url"], "get")
            finally:
                getter.kill()
                getter.wait()
    finally:
        seeder.kill()
        seeder.wait()


if __name__ == "__main__":
    main()
