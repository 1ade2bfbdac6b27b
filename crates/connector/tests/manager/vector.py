#!/usr/bin/env python3
"""Seals a password by pyhpke, and writes vector.json: python3 vector.py (pip install pyhpke)"""

import base64
import json
import os
import pathlib

from pyhpke import AEADId, CipherSuite, KDFId, KEMId, KEMKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

SITE, SERVER, USER, PASSWORD = "b17", "VPN17.example.net", "svc/ü\"", "grüße 4711"
INSECURE = ["pap", "no-encryption"]

private = X25519PrivateKey.generate()
suite = CipherSuite.new(KEMId.DHKEM_X25519_HKDF_SHA256, KDFId.HKDF_SHA256, AEADId.CHACHA20_POLY1305)
aad = json.dumps(
    [1, SITE, f"{SERVER.lower()}:1723", USER, sorted(INSECURE)],
    separators=(",", ":"),
    ensure_ascii=False,
)
public = KEMKey.from_pyca_cryptography_key(private.public_key())
encapsulated, context = suite.create_sender_context(public, info=b"pptp-connector password v1")
ciphertext = context.seal(PASSWORD.encode(), aad=aad.encode())


def text(octets):
    return "k1." + base64.b64encode(octets).decode()


vector = {
    "private_key": text(private.private_bytes_raw()),
    "public_key": text(private.public_key().public_bytes_raw()),
    "site": SITE,
    "server": SERVER,
    "user": USER,
    "password": PASSWORD,
    "aad": aad,
    "sealed": text(encapsulated + ciphertext),
}
path = pathlib.Path(os.path.dirname(os.path.abspath(__file__))) / "vector.json"
path.write_text(json.dumps(vector, indent=2, ensure_ascii=False) + "\n")
