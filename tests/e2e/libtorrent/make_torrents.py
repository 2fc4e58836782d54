"""Makes v1, v2 and hybrid torrents of a file with libtorrent: make_torrents.py FILE OUT_FOLDER"""

import sys
import warnings
from pathlib import Path

warnings.simplefilter("ignore", DeprecationWarning)

import libtorrent as lt  # noqa: E402

FLAGS = {
    "v1": lt.create_torrent.v1_only,
    "v2": lt.create_torrent.v2_only,
    "hybrid": 0,
}


def main(source: Path, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for version, flags in FLAGS.items():
        files = lt.file_storage()
        lt.add_files(files, str(source))
        torrent = lt.create_torrent(files, 64 * 1024, flags)
        lt.set_piece_hashes(torrent, str(source.parent))
        (out / f"{version}.torrent").write_bytes(lt.bencode(torrent.generate()))


main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]))
