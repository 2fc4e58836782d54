"""`headwater inspect` takes the torrents libtorrent takes, and no others.

HEADWATER=target/debug/headwater python verdicts_match_libtorrent.py [CASES [SEED]]

Sound torrents are changed at random, one to three values each, and shown to both. Where the
verdicts differ the reason must be a known one: STRICTER or LOOSER. Where both take one, the info hashes
must be the same.
"""

import copy
import json
import os
import random
import subprocess
import sys
import tempfile
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

warnings.simplefilter("ignore", DeprecationWarning)

import libtorrent as lt  # noqa: E402

HEADWATER = os.environ["HEADWATER"]
CASES = int(sys.argv[1]) if len(sys.argv) > 1 else 1_500
SEED = int(sys.argv[2]) if len(sys.argv) > 2 else 1

# What we refuse on purpose, and libtorrent does not.
STRICTER = [
    "a dictionary has the same key twice",
    "a number is not written the one right way",
    '"piece layers": it is not a dictionary',
    # A v1 part is files and hashes, or it is not there.
    "there are v1 hashes, but no v1 files",
    'has no "pieces"',
    '"pieces": it is not a string',
    # libtorrent compares the empty files of a hybrid's two parts neither by name nor by place.
    "a file has two paths, or the files stand in another order",
    # It reads the version as 32 bits.
    "versions 1 and 2 are supported",
]

# What libtorrent refuses, and we need not.
LOOSER = [
    # An empty folder beside a hybrid's only file makes it a folder to libtorrent.
    "the v1 and v2 file metadata does not match",
]

VALUES = [
    *(0, 1, -1, 2, 3, 16_383, 16_384, 32_768, 1 << 40, (1 << 63) - 1),
    *(b"", b"a", b"..", b"p", b"l", b"x", b"\1" * 20, b"\0" * 32, b"\1" * 32),
    *([], {}, [b"a"], [b"a", b"b"], [[b"x"]]),
    *({b"": {b"length": 0}}, {b"a": {b"": {b"length": 0}}}),
]
KEYS = [
    *(b"", b"a", b"attr", b"file tree", b"files", b"info", b"length", b"meta version", b"path"),
    *(b"path.utf-8", b"piece layers", b"piece length", b"pieces", b"pieces root", b"private"),
]


def sound(root: Path) -> list[bytes]:
    luck = random.Random(SEED)
    for name, length in {"f/a": 0, "f/b": 40_000, "f/c/d": 1, "f/c/e": 65_536, "g": 70_000}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(luck.randbytes(length))
    torrents = []
    for source in (root / "f", root / "g"):
        for flags in (lt.create_torrent.v1_only, lt.create_torrent.v2_only, 0):
            files = sorted(lt.list_files(str(source)), key=lambda file: file.filename)
            torrent = lt.create_torrent(files, 16_384, flags)
            lt.set_piece_hashes(torrent, str(root))
            torrents.append(lt.bencode(torrent.generate()))
    return torrents


def encode(node) -> bytes:
    """Unlike lt.bencode, of any values."""
    if isinstance(node, int):
        return b"i%de" % node
    if isinstance(node, bytes):
        return b"%d:%s" % (len(node), node)
    if isinstance(node, list):
        return b"l%se" % b"".join(map(encode, node))
    return b"d%se" % b"".join(encode(key) + encode(node[key]) for key in sorted(node))


def places(node, path=()):
    yield path
    if isinstance(node, dict):
        for key in node:
            yield from places(node[key], (*path, key))
    elif isinstance(node, list):
        for index, item in enumerate(node):
            yield from places(item, (*path, index))


def change(torrent, luck: random.Random) -> None:
    path = luck.choice([path for path in places(torrent) if path] or [()])
    if not path:
        return
    parent = torrent
    for step in path[:-1]:
        parent = parent[step]
    key, value = path[-1], parent[path[-1]]
    kind = luck.randrange(8)
    if kind == 0:
        del parent[key]
    elif kind == 1 and isinstance(value, int):
        parent[key] = value + luck.choice([1, -1, 16_384, -16_384, value])
    elif kind == 2 and isinstance(value, bytes) and value:
        at = luck.randrange(len(value))
        parent[key] = value[:at] + luck.choice([b"", b"x", b"\0", value[:32]]) + value[at + 1 :]
    elif kind == 3 and isinstance(value, bytes):
        parent[key] = luck.choice([value + value[:20], value + value[:32], value[:-20], value[:-32]])
    elif kind == 4 and isinstance(value, dict):
        value[luck.choice(KEYS)] = copy.deepcopy(luck.choice(VALUES))
    elif kind == 5 and isinstance(value, list):
        luck.shuffle(value)
    elif kind == 6 and isinstance(parent, dict):
        parent[luck.choice(KEYS)] = parent.pop(key)
    else:
        parent[key] = copy.deepcopy(luck.choice(VALUES))


def theirs(torrent: bytes) -> tuple[bool, object]:
    try:
        found = lt.load_torrent_buffer(torrent).ti.info_hashes()
    except RuntimeError as error:
        return False, str(error)
    return True, (str(found.v1) if found.has_v1() else None, str(found.v2) if found.has_v2() else None)


def ours(path: Path) -> tuple[bool, object]:
    read = subprocess.run([HEADWATER, "inspect", "--json", path], capture_output=True, text=True)
    assert read.returncode in (0, 1), f"{path}: {read.stderr}"
    if read.returncode:
        return False, read.stderr.strip()
    found = json.loads(read.stdout)
    return True, (found["info_hash_v1"], found["info_hash_v2"])


def main() -> None:
    luck = random.Random(SEED)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as pool:
        originals = sound(Path(folder) / "files")
        cases = []
        while len(cases) < CASES:
            torrent = lt.bdecode(luck.choice(originals))
            for _ in range(luck.choice([1, 1, 1, 2, 3])):
                change(torrent, luck)
            path = Path(folder) / f"{len(cases)}.torrent"
            path.write_bytes(encode(torrent))
            cases.append(path)
        taken = stricter = 0
        for path, mine in zip(cases, pool.map(ours, cases)):
            other = theirs(path.read_bytes())
            if mine[0] and other[0]:
                assert mine[1] == other[1], f"other info hashes: {mine[1]}, {other[1]}: {path.read_bytes()}"
                taken += 1
            elif mine[0] or other[0]:
                reasons, words = (LOOSER, other[1]) if mine[0] else (STRICTER, mine[1])
                known = any(reason in words for reason in reasons)
                assert known, f"ours {mine}, libtorrent's {other}: {path.read_bytes()}"
                stricter += not mine[0]
        print(f"{CASES} changed torrents: both took {taken}, we alone refused {stricter}, both refused the rest")


main()
