"""Decrypts the Web Push bodies that the demo's browser got, with an implementation that is not ours (PyPI http-ece).

Usage: web_push.py BASE_URL DEVICES_JSON. The doubles keep the browser's keys in DEVICES_JSON.
"""

import base64
import json
import sys
import urllib.request

import http_ece
from cryptography.hazmat.primitives.asymmetric import ec


def decoded(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def main(base, devices_file):
    with open(devices_file, encoding="utf-8") as file:
        device = next(it for it in json.load(file) if it["service"] == "webPush")
    keys = device["browser"]
    private = ec.derive_private_key(int.from_bytes(decoded(keys["private"]), "big"), ec.SECP256R1())
    with urllib.request.urlopen(f"{base}/demo/arrivals?device={device['id']}") as answer:
        arrivals = json.load(answer)["value"]
    opened = 0
    for arrival in arrivals:
        body = base64.b64decode(arrival["body"]["base64"])
        plain = http_ece.decrypt(body, private_key=private, auth_secret=decoded(keys["auth"]), version="aes128gcm")
        said = json.loads(plain)["beckon"]
        assert said["v"] == 1 and said["k"] in ("created", "changed", "fallback"), said
        opened += 1
    assert opened >= 2, f"only {opened} pushes arrived"
    print(f"{opened} bodies decrypted")


main(*sys.argv[1:])
