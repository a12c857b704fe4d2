# SPDX-License-Identifier: MIT OR Apache-2.0
"""Keys and tokens made without any of our code: PyCA's cryptography, and the few lines of RFC 7515 and 7517."""

import base64
import hashlib
import hmac
import json

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

HASHES = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}
CURVES = {"256": (ec.SECP256R1, "P-256", 32), "384": (ec.SECP384R1, "P-384", 48)}

ALGORITHMS = [f"{kind}{bits}" for kind in ("HS", "RS", "PS") for bits in HASHES]
ALGORITHMS += ["ES256", "ES384", "EdDSA"]


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value, size=None):
    return b64(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))


class Key:
    """A new key: `private` and `public` are its JWKs (the same for HS*)."""

    def __init__(self, alg, kid=None):
        self.alg = alg
        self.kid = kid
        self.private = {"alg": alg, "key_ops": ["sign", "verify"]}
        make = {"H": self._secret, "R": self._rsa, "P": self._rsa, "E": self._curve}[alg[0]]
        make()
        if kid:
            self.private["kid"] = kid
        hidden = ("d", "p", "q", "dp", "dq", "qi")
        self.public = {k: v for k, v in self.private.items() if k not in hidden}
        if alg[0] != "H":
            self.public["key_ops"] = ["verify"]

    def _secret(self):
        self.secret = hashlib.sha512(self.alg.encode()).digest()
        self.private |= {"kty": "oct", "k": b64(self.secret)}

    def _rsa(self):
        self.key = rsa.generate_private_key(65537, 2048)
        n = self.key.private_numbers()
        self.private |= {
            "kty": "RSA",
            "n": number(n.public_numbers.n),
            "e": number(n.public_numbers.e),
            "d": number(n.d),
            "p": number(n.p),
            "q": number(n.q),
            "dp": number(n.dmp1),
            "dq": number(n.dmq1),
            "qi": number(n.iqmp),
        }

    def _curve(self):
        if self.alg == "EdDSA":
            self.key = ed25519.Ed25519PrivateKey.generate()
            self.private |= {
                "kty": "OKP",
                "crv": "Ed25519",
                "x": b64(self.key.public_key().public_bytes_raw()),
                "d": b64(self.key.private_bytes_raw()),
            }
            return
        curve, name, size = CURVES[self.alg[2:]]
        self.key = ec.generate_private_key(curve())
        n = self.key.private_numbers()
        self.private |= {
            "kty": "EC",
            "crv": name,
            "x": number(n.public_numbers.x, size),
            "y": number(n.public_numbers.y, size),
            "d": number(n.private_value, size),
        }

    def sign(self, message):
        if self.alg[0] == "H":
            return hmac.digest(self.secret, message, f"sha{self.alg[2:]}")
        if self.alg == "EdDSA":
            return self.key.sign(message)
        digest = HASHES[self.alg[2:]]()
        if self.alg[0] == "E":
            size = CURVES[self.alg[2:]][2]
            r, s = utils.decode_dss_signature(self.key.sign(message, ec.ECDSA(digest)))
            return r.to_bytes(size, "big") + s.to_bytes(size, "big")
        if self.alg[0] == "R":
            return self.key.sign(message, padding.PKCS1v15(), digest)
        return self.key.sign(
            message, padding.PSS(padding.MGF1(digest), padding.PSS.DIGEST_LENGTH), digest
        )

    def token(self, claims, **header):
        first = {"typ": "JWT", "alg": self.alg} | ({"kid": self.kid} if self.kid else {}) | header
        message = ".".join(b64(json.dumps(part).encode()) for part in (first, claims))
        return f"{message}.{b64(self.sign(message.encode()))}"
