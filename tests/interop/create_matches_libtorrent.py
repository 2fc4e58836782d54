"""`headwater create` and libtorrent make the same torrents of the same files.

HEADWATER=target/debug/headwater python create_matches_libtorrent.py

Same info hashes and same piece layers, in v1, v2 and hybrid; and each reads what the other made.
libtorrent keeps v1 files in the order it is given them, so it is given ours: by path, component
by component. (Its own hybrids sort whole paths instead, and where `sub.txt` lies beside `sub/`
it refuses what it made itself; such a folder is left out here and tested in core/tests/create.rs.)
"""

import json
import os
import random
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

warnings.simplefilter("ignore", DeprecationWarning)

import libtorrent as lt  # noqa: E402

HEADWATER = sys.argv[1] if len(sys.argv) > 1 else os.environ["HEADWATER"]
VERSIONS = {"--v1": lt.create_torrent.v1_only, "--v2": lt.create_torrent.v2_only, None: 0}
PIECE_LENGTHS = [16 << 10, 32 << 10, 64 << 10, 1 << 20]
FILES = {
    "edges/empty": 0,
    "edges/one": 1,
    "edges/16383": 16_383,
    "edges/16384": 16_384,
    "edges/sub/16385": 16_385,
    "edges/sub/deep/65537": 65_537,
    "edges/Upper": 131_072,
    "edges/.hidden": 5,
    "edges/run.sh": 10,
    "edges/ünï 🎬.txt": 40_000,
    "film.mp4": 3_000_001,
    "tiny": 1,
    "exact": 65_536,
    "folder of one/file": 50_000,
    "empty last/a": 65_536,
    "empty last/z": 0,
    "twins/a": 200_000,
    "twins/b": 200_000,
}


def fill(root: Path) -> list[Path]:
    luck = random.Random(1)
    same = luck.randbytes(200_000)
    for name, length in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(same if name.startswith("twins") else luck.randbytes(length))
    (root / "edges/run.sh").chmod(0o755)
    return sorted({root / Path(name).parts[0] for name in FILES})


def libtorrents(source: Path, piece_length: int, flags: int) -> bytes:
    files = sorted(lt.list_files(str(source)), key=lambda file: file.filename.encode().split(b"/"))
    torrent = lt.create_torrent(files, piece_length, flags)
    lt.set_piece_hashes(torrent, str(source.parent))
    return lt.bencode(torrent.generate())


def headwaters(source: Path, piece_length: int, version: str | None, out: Path) -> dict:
    command = [HEADWATER, "create", source, "--piece-length", str(piece_length), "--out", out, "--json"]
    made = subprocess.run([*command, *([version] if version else [])], check=True, capture_output=True)
    return json.loads(made.stdout)


def inspected(torrent: Path) -> dict:
    read = subprocess.run([HEADWATER, "inspect", "--json", torrent], check=True, capture_output=True)
    return json.loads(read.stdout)


def hashes(torrent: bytes) -> tuple[str | None, str | None]:
    found = lt.load_torrent_buffer(torrent).ti.info_hashes()
    return (str(found.v1) if found.has_v1() else None, str(found.v2) if found.has_v2() else None)


def compare(source: Path, piece_length: int, version: str | None, scratch: Path) -> None:
    case = f"{source.name}, pieces of {piece_length}, {version or 'hybrid'}"
    theirs = libtorrents(source, piece_length, VERSIONS[version])
    ours = scratch / "ours.torrent"
    ours.unlink(missing_ok=True)
    made = headwaters(source, piece_length, version, ours)
    expected = hashes(theirs)
    assert (made["info_hash_v1"], made["info_hash_v2"]) == expected, f"{case}: {made} is not {expected}"
    assert hashes(ours.read_bytes()) == expected, f"{case}: libtorrent reads ours otherwise"
    layers = [lt.bdecode(torrent).get(b"piece layers") for torrent in (ours.read_bytes(), theirs)]
    assert layers[0] == layers[1], f"{case}: other piece layers"
    (scratch / "theirs.torrent").write_bytes(theirs)
    read = inspected(scratch / "theirs.torrent")
    assert (read["info_hash_v1"], read["info_hash_v2"]) == expected, f"{case}: theirs read otherwise"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        sources = fill(Path(folder) / "files")
        cases = [(s, p, v) for s in sources for p in PIECE_LENGTHS for v in VERSIONS]
        for case in cases:
            compare(*case, Path(folder))
        print(f"{len(cases)} torrents are the same as libtorrent {lt.__version__}'s")


main()
