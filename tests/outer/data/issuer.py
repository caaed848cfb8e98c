# SPDX-License-Identifier: MIT OR Apache-2.0
"""An issuer of tokens whose keys, signatures and formats are joserfc's.

Prints its port and serves until its input ends: /keys, /introspect, and /token?alg=A&sub=S&aud=B&life=SECONDS, which
gives a signed token. The secret for HMAC is SECRET.
"""

import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

SECRET = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
NAMED = {
    "rsa": RSAKey.generate_key(2048, {"kid": "rsa", "use": "sig"}),
    "p256": ECKey.generate_key("P-256", {"kid": "p256", "use": "sig"}),
    "p384": ECKey.generate_key("P-384", {"kid": "p384", "use": "sig"}),
    "p521": ECKey.generate_key("P-521", {"kid": "p521", "use": "sig"}),
    "ed": OKPKey.generate_key("Ed25519", {"kid": "ed", "use": "sig"}),
    "enc": RSAKey.generate_key(2048, {"kid": "enc", "use": "enc"}),
}
KEYS = KeySet(list(NAMED.values()))
ALL = ["HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"]
REGISTRY = JWSRegistry(algorithms=ALL)


def key_for(alg):
    if alg.startswith("HS"):
        return OctKey.import_key(SECRET)
    return NAMED[{"ES256": "p256", "ES384": "p384", "EdDSA": "ed"}.get(alg, "rsa")]


def token(alg, sub, aud, life):
    key, now = key_for(alg), int(time.time())
    header = {"alg": alg} if alg.startswith("HS") else {"alg": alg, "kid": key.kid}
    claims = {"iss": "https://id", "sub": sub, "aud": aud, "iat": now, "exp": now + life, "scope": "read write"}
    return jwt.encode(header, claims, key, algorithms=ALL, registry=REGISTRY)


def introspect(text):
    """Active is what joserfc itself takes for good."""
    try:
        claims = jwt.decode(text, KEYS, algorithms=ALL, registry=REGISTRY).claims
        return {"active": claims["exp"] > time.time(), **claims}
    except Exception:
        return {"active": False}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        url = urlsplit(self.path)
        asked = {name: values[0] for name, values in parse_qs(url.query).items()}
        if url.path == "/keys":
            self.say("application/jwk-set+json", json.dumps(KEYS.as_dict(private=False)))
        else:
            self.say("text/plain", token(asked["alg"], asked["sub"], asked["aud"], int(asked["life"])))

    def do_POST(self):
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.say("application/json", json.dumps(introspect(form["token"][0])))

    def say(self, kind, text):
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_address[1], flush=True)
sys.stdin.read()
