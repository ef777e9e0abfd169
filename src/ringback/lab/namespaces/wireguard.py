"""A real VPN path: WireGuard in user space (wireguard-go) at the participant and at an exit outside.

Kernels without a WireGuard module have TUN devices all the same. Keys are made for one run; the control sockets of
wireguard-go live in a mount namespace of their own, so that no file is left behind.
"""

import os
import shutil
import socket
import subprocess
from dataclasses import dataclass
from time import monotonic, sleep

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from ringback.errors import RingbackError
from ringback.lab.namespaces import kernel
from ringback.lab.namespaces.processes import Report

PROGRAM = "wireguard-go"
NEAR, EXIT = "wg0", "wgexit0"
INSIDE = "192.0.2.130"
PATIENCE_S = 5.0


@dataclass(frozen=True)
class WireGuard:
    """exit, port: where the outer packets go. inside: the participant's address in the tunnel, which everybody
    outside sees as its source."""

    exit: str
    port: int = 51820
    inside: str = INSIDE


@dataclass(frozen=True)
class End:
    """One end's settings. local: an address of its own, or None. remote: what lies behind the other end."""

    interface: str
    private: bytes
    other: bytes
    port: int
    endpoint: str | None
    local: str | None
    remote: str


def ends(vpn: WireGuard) -> tuple[End, End]:
    """(the participant's end, the exit's), with fresh keys."""
    near, far = X25519PrivateKey.generate(), X25519PrivateKey.generate()
    return (
        End(
            NEAR,
            near.private_bytes_raw(),
            far.public_key().public_bytes_raw(),
            0,
            f"{vpn.exit}:{vpn.port}",
            vpn.inside,
            "0.0.0.0/0",
        ),
        End(
            EXIT,
            far.private_bytes_raw(),
            near.public_key().public_bytes_raw(),
            vpn.port,
            None,
            None,
            f"{vpn.inside}/32",
        ),
    )


def missing() -> str | None:
    """None where this machine can have the path; else why not, in one line."""
    if shutil.which(PROGRAM) is None:
        return f"{PROGRAM} is not installed"
    try:
        os.close(os.open("/dev/net/tun", os.O_RDWR))
    except OSError as error:
        return f"/dev/net/tun can't be opened ({error.strerror})"
    return None


def run(end: End, ready: Report) -> None:
    """Be one end of the tunnel until the process is ended. Raises RingbackError if wireguard-go gives up."""
    from pyroute2 import IPRoute

    from ringback.lab.namespaces.layout import VPN_MTU, VPN_PRIORITY

    kernel.private_run_folder()
    os.mkdir("/run/wireguard", 0o700)
    process = subprocess.Popen(
        [PROGRAM, "-f", end.interface],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "LOG_LEVEL": "error"},
    )
    configure(f"/run/wireguard/{end.interface}.sock", end, process)
    with IPRoute() as ip:
        index = ip.link_lookup(ifname=end.interface)[0]
        ip.link("set", index=index, state="up", mtu=VPN_MTU)
        if end.local is not None:
            ip.addr("add", index=index, address=end.local, prefixlen=32)
            ip.route("add", dst=end.remote, oif=index, prefsrc=end.local, priority=VPN_PRIORITY, scope=253)
        else:
            ip.route("add", dst=end.remote, oif=index, scope=253)
    ready(None)
    said, _ = process.communicate()
    raise RingbackError(f"{PROGRAM} ended: {said.decode(errors='replace').strip() or process.returncode}")


def configure(path: str, end: End, process: "subprocess.Popen[bytes]") -> None:
    """Speak wireguard-go's configuration protocol (https://www.wireguard.com/xplatform/) once it listens."""
    lines = ["set=1", f"private_key={end.private.hex()}", f"listen_port={end.port}", "replace_peers=true"]
    lines += [f"public_key={end.other.hex()}", "replace_allowed_ips=true", f"allowed_ip={end.remote}"]
    if end.endpoint is not None:
        lines.append(f"endpoint={end.endpoint}")
    until = monotonic() + PATIENCE_S
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as control:
        while True:
            try:
                control.connect(path)
                break
            except (FileNotFoundError, ConnectionRefusedError) as error:
                if process.poll() is not None or monotonic() > until:
                    process.kill()
                    said, _ = process.communicate()
                    raise RingbackError(f"{PROGRAM} did not start: {said.decode(errors='replace').strip()}") from error
                sleep(0.005)
        control.sendall(("\n".join(lines) + "\n\n").encode())
        answer = control.recv(4096).decode()
    if "errno=0" not in answer.split():
        raise RingbackError(f"{PROGRAM} refused its settings: {answer.strip()}")
