# SPDX-License-Identifier: MIT OR Apache-2.0
"""An issuer and a client of Privacy Pass (RFC 9578, type 2) in big integers: blind RSA, RFC 9474."""

import base64
import hashlib
import secrets

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa, utils

# SubjectPublicKeyInfo of an RSASSA-PSS key with 2048 bits, SHA-384 and 48 bytes of salt, up to its modulus.
SPKI_HEAD = bytes.fromhex(
    "30820152303d06092a864886f70d01010a3030a00d300b0609608648016503040202"
    "a11a301806092a864886f70d010108300b0609608648016503040202a203020130"
    "0382010f003082010a0282010100"
)
SPKI_TAIL = bytes.fromhex("0203010001")
SALT = 48
BYTES = 256


def b64(data, pad=False):
    text = base64.urlsafe_b64encode(data).decode()
    return text if pad else text.rstrip("=")


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def challenge(issuer, scope, context=b""):
    """TokenChallenge, RFC 9577 2.1.1."""
    issuer, scope = issuer.encode(), scope.encode()
    return (
        b"\0\2"
        + len(issuer).to_bytes(2, "big")
        + issuer
        + bytes([len(context)])
        + context
        + len(scope).to_bytes(2, "big")
        + scope
    )


def parse_challenge(data):
    """(issuer, context, scope)"""
    assert data[:2] == b"\0\2"
    parts, rest = [], data[2:]
    for size in (2, 1, 2):
        length, rest = int.from_bytes(rest[:size], "big"), rest[size:]
        parts.append(rest[:length])
        rest = rest[length:]
    assert rest == b""
    return parts[0].decode(), parts[1], parts[2].decode()


def mgf1(seed, size):
    out = b""
    for i in range(-(-size // 48)):
        out += hashlib.sha384(seed + i.to_bytes(4, "big")).digest()
    return out[:size]


def emsa_pss(message, bits, salt):
    """RFC 8017 9.1.1 with SHA-384."""
    size = -(-bits // 8)
    digest = hashlib.sha384(b"\0" * 8 + hashlib.sha384(message).digest() + salt).digest()
    block = b"\0" * (size - len(salt) - 48 - 2) + b"\1" + salt
    masked = bytearray(a ^ b for a, b in zip(block, mgf1(digest, len(block)), strict=True))
    masked[0] &= 0xFF >> (8 * size - bits)
    return bytes(masked) + digest + b"\xbc"


class Issuer:
    def __init__(self, name="issuer.example"):
        self.name = name
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        numbers = self.key.private_numbers()
        self.n, self.e, self.d = numbers.public_numbers.n, 65537, numbers.d
        self.spki = SPKI_HEAD + self.n.to_bytes(BYTES, "big") + SPKI_TAIL
        self.key_id = hashlib.sha256(self.spki).digest()

    def write_key(self, path):
        path.write_text(b64(self.spki) + "\n")
        return path

    def sign_blinded(self, blinded):
        """What the issuer does, without seeing what it signs."""
        return pow(blinded, self.d, self.n)

    def token(self, asked, salt=SALT):
        """A token for the bytes of a challenge, got by the blind exchange."""
        signed = b"\0\2" + secrets.token_bytes(32) + hashlib.sha256(asked).digest() + self.key_id
        encoded = int.from_bytes(emsa_pss(signed, 2047, secrets.token_bytes(salt)), "big")
        blind = secrets.randbelow(self.n - 2) + 2
        signature = self.sign_blinded(encoded * pow(blind, self.e, self.n) % self.n)
        plain = signature * pow(blind, -1, self.n) % self.n
        token = signed + plain.to_bytes(BYTES, "big")
        if salt == SALT:
            self.verify(token)
        return token

    def verify(self, token):
        """By another implementation than the relay's."""
        pss = padding.PSS(mgf=padding.MGF1(hashes.SHA384()), salt_length=SALT)
        digest = hashlib.sha384(token[:98]).digest()
        self.key.public_key().verify(token[98:], digest, pss, utils.Prehashed(hashes.SHA384()))

    def for_scope(self, scope, context=b""):
        return self.token(challenge(self.name, scope, context))


def in_setup(token):
    """The value of CLIENT_SETUP's parameter 3, as the deployed client frames it."""
    return b"\1" + len(token).to_bytes(2, "big") + token


def in_header(token):
    return f'PrivateToken token="{b64(token, pad=True)}"'
