"""libtorrent seeds one torrent over TCP, on loopback, until it is stopped.

usage: seed.py FOLDER TORRENT; prints {"port": …} when it can be called.
"""

import json
import signal
import sys
import time
import warnings

warnings.simplefilter("ignore", DeprecationWarning)

import libtorrent as lt  # noqa: E402

folder, torrent = sys.argv[1:]
session = lt.session({
    "listen_interfaces": "127.0.0.1:0", "enable_dht": False, "enable_lsd": False, "enable_upnp": False,
    "enable_natpmp": False, "enable_incoming_utp": False, "enable_outgoing_utp": False,
})
params = lt.add_torrent_params()
params.ti = lt.torrent_info(torrent)
params.save_path = folder
handle = session.add_torrent(params)
while not (handle.status().is_seeding and session.listen_port()):
    time.sleep(0.02)
print(json.dumps({"port": session.listen_port()}), flush=True)
signal.pause()
