"""The one source of all free bytes of an exchange, known to both ends and to nobody else."""

import hashlib
import hmac
from collections.abc import Callable

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

COOKIE = b"\x21\x12\xa4\x42"  # RFC 8489
FF_RUN = b"\xff" * 12  # Telegram's reflector

LONG = 2048  # bytes from which on a block is drawn by AES
NUMBER = 8  # bytes of an exchange's number
SHA256_BLOCK = 64  # bytes, FIPS 180-4
INNER, OUTER = (bytes(byte ^ pad for byte in range(256)) for pad in (0x36, 0x5C))  # RFC 2104 section 2


class Keystream:
    """Unguessable bytes from the session's seed and the exchange's number.

    `block` gives the same bytes for the same label and size each time: SHAKE-128 (FIPS 202) over HMAC-SHA256(seed,
    number) and the label; long blocks are AES-256-CTR under a key from it, which is several times as fast. Blocks of
    different labels are independent.
    """

    __slots__ = ("_key",)

    def __init__(self, seed: bytes, number: int) -> None:
        self._key = hmac.digest(seed, number.to_bytes(NUMBER, "big"), "sha256")

    @classmethod
    def of_many(cls, seed: bytes) -> "Callable[[int], Keystream]":
        """`Keystream(seed, number)` for many numbers in half of the time: what HMAC (RFC 2104) does with its key is
        the same for all of them."""
        key = (seed if len(seed) <= SHA256_BLOCK else hashlib.sha256(seed).digest()).ljust(SHA256_BLOCK, b"\0")
        inner, outer = hashlib.sha256(key.translate(INNER)), hashlib.sha256(key.translate(OUTER))

        def numbered(number: int) -> Keystream:
            message, sealed, keystream = inner.copy(), outer.copy(), cls.__new__(cls)
            message.update(number.to_bytes(NUMBER, "big"))
            sealed.update(message.digest())
            keystream._key = sealed.digest()
            return keystream

        return numbered

    def block(self, label: str, size: int) -> bytes:
        if size < LONG:
            return hashlib.shake_128(self._key + label.encode()).digest(size)
        secret = hashlib.shake_128(self._key + label.encode()).digest(48)
        return Cipher(AES(secret[:32]), CTR(secret[32:])).encryptor().update(bytes(size))

    def plain(self, label: str, size: int) -> bytes:
        """A block in which neither STUN's cookie nor the reflector's FF run stands by accident."""
        for draw in range(1 << 16):
            data = self.block(f"{label}/{draw}", size)
            if COOKIE not in data and FF_RUN not in data:
                return data
        raise AssertionError("unreachable: each draw fails with a chance below 1 in 200 even at 16 MB")

    def sizes(self, label: str, count: int, smallest: int, largest: int) -> list[int]:
        """`count` whole numbers in smallest..largest, almost uniform (one byte of keystream each)."""
        span = largest - smallest + 1
        return [smallest + (byte * span >> 8) for byte in self.block(label, count)]

    def number(self, label: str, bits: int = 32) -> int:
        """A whole number in 0 .. 2**bits - 1; bits a multiple of 8."""
        return int.from_bytes(self.block(label, bits // 8), "big")

    def share(self, label: str) -> float:
        """A number in 0 <= x < 1."""
        return self.number(label) / 2.0**32
