"""Addresses on which a process listens."""

import os
from pathlib import Path


def listening_addresses(pid):
    """Returns the addresses on which a process listens, from /proc (proc(5)): hexadecimal, the last byte first."""
    inodes = {os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir() if path.is_symlink()}
    addresses = []
    for name in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes:
                address, port = fields[1].split(":")
                addresses.append((address, int(port, 16)))
    return addresses
