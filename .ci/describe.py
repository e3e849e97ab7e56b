"""Holds the hub against its own description: schemathesis runs all its checks over every operation, against the real
server, with each kind of credential, and must find nothing. BECKON is the binary, SCHEMATHESIS the command; all traffic
stays on loopback. Usage: describe.py FOLDER."""

import base64
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
import urllib.parse
import urllib.request

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

BECKON = os.environ["BECKON"]
SCHEMATHESIS = os.environ["SCHEMATHESIS"]
FOLDER = pathlib.Path(sys.argv[1]).resolve()
HOOKS = pathlib.Path(__file__).with_name("describe_hooks.py")
APP = "todo.example.com"
# In `apart`, keys of two apps take turns: neither may have what the other made.
KINDS = ["all", "send", "users", "access", "bound", "unbound", "foreign", "none", "apart"]
OTHER = "other.example.com"
# The same cases in every run, unless one asks for others.
SEED = os.environ.get("SEED", "8")
EXAMPLES = os.environ.get("EXAMPLES", "12")
SAYS_LISTENING = "listening on "


class Provider:
    """An identity provider of the app's: a key of its own, and tokens for the app's people."""

    issuer, audience = "https://id.example.com", "todo"

    def __init__(self):
        self.key = ec.generate_private_key(ec.SECP256R1())

    def keys(self):
        """Its public key, as a JWK Set (RFC 7517)."""
        point = self.key.public_key().public_numbers()
        jwk = {"kty": "EC", "crv": "P-256", "kid": "1", "x": text64(point.x.to_bytes(32, "big")), "y": text64(point.y.to_bytes(32, "big"))}
        return json.dumps({"keys": [jwk]})

    def token(self, user):
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": self.audience, "sub": user, "iat": now, "exp": now + 3600}
        parts = [text64(json.dumps(part).encode()) for part in ({"alg": "ES256", "kid": "1"}, claims)]
        signed = self.key.sign(".".join(parts).encode(), ec.ECDSA(hashes.SHA256()))
        r, s = decode_dss_signature(signed)
        return ".".join([*parts, text64(r.to_bytes(32, "big") + s.to_bytes(32, "big"))])


def text64(raw):
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def ask(url, method="GET", bearer=None, body=None, form=None):
    headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
    data = None
    if body is not None:
        headers["Content-Type"], data = "application/json", json.dumps(body).encode()
    if form is not None:
        data = urllib.parse.urlencode(form).encode()
    request = urllib.request.Request(url, data, headers, method=method)
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


def until(what, check):
    for _ in range(300):
        found = check()
        if found:
            return found
        time.sleep(0.1)
    sys.exit(f"{what} does not come")


class Doubles:
    """The doubles of the push services, so that devices with channels can be registered and tapped."""

    def __init__(self):
        folder = FOLDER / "doubles"
        said = FOLDER / "doubles.out"
        self.process = subprocess.Popen(
            [BECKON, "doubles", "--dir", folder], cwd=FOLDER, stdout=said.open("w"), stderr=subprocess.STDOUT
        )
        text = until("the doubles", lambda: self.told(said))
        self.sections = text[text.index("[app.apns]") :]
        self.api = re.search(r"^what arrived +(\S+)$", text, re.M)[1]
        self.hosts = {
            name: re.search(rf"^{words} +(\S+)$", text, re.M)[1] for name, words in [("webPush", "web push"), ("wns", "wns")]
        }

    def device(self, service):
        """The channel of a device that its push service knows."""
        return ask(f"{self.api}/v1/devices", "POST", body={"service": service})["channel"]

    @staticmethod
    def told(said):
        text = said.read_text()
        return text if text.rstrip().endswith("]") and "[app.wns]" in text else None


class Hub:
    """A hub of its own for each kind of credential, with somebody who has a device and something to read."""

    def __init__(self, kind, doubles):
        self.folder = FOLDER / kind
        self.folder.mkdir()
        config = self.folder / "config.toml"
        self.provider = Provider()
        (self.folder / "keys.json").write_text(self.provider.keys())
        # Rates and numbers that a run of some thousand requests would come up against would hide what is behind them.
        config.write_text(
            '[server]\nlisten = "127.0.0.1:0"\n[server.limits]\nbroadcasts_per_app = 10000\ntokens_per_user = 100000\n'
            f'[store]\npath = "data"\n[[app]]\nhost = "{APP}"\ndelegated_post = true\n{doubles.sections}'
            f'[app.identity]\nissuer = "{Provider.issuer}"\naudience = "{Provider.audience}"\njwks_file = "keys.json"\n'
            f'[[app]]\nhost = "{OTHER}"\n'
        )
        out = self.folder / "out"
        self.process = subprocess.Popen(
            [BECKON, "serve", "--config", config], stdout=out.open("w"), stderr=(self.folder / "err").open("w")
        )
        line = until("the hub", lambda: out.read_text().strip())
        self.url = line.removeprefix(SAYS_LISTENING)
        self.config = config

    def key(self, scope, app=APP):
        said = subprocess.check_output(
            [BECKON, "key", "create", app, "--scope", scope, "--config", self.config, "--json"], text=True
        )
        return json.loads(said)["key"]

    def credential(self, kind, doubles):
        """The credential, and what the requests may name that is there."""
        key = self.key("all")
        bound = ask(f"{self.url}/v1/users/ada/tokens", "POST", key, {"endpointId": "desk"})["token"]
        none = {"platform": "windows", "channel": {"type": "none"}}
        desk = ask(f"{self.url}/v1/me/endpoints/desk", "PUT", bound, none)
        tapped = {"channel": doubles.device("fcm")}
        ask(f"{self.url}/v1/users/ada/endpoints/tapped", "PUT", key, tapped)
        posts = [
            ask(f"{self.url}/v1/users/ada/notifications", "POST", key, {"payload": {"rawContent": f"post {nth}"}})
            for nth in range(40)
        ]
        gone = [f"gone {nth}" for nth in range(20)]
        for user in gone:
            ask(f"{self.url}/v1/users/{user.replace(' ', '%20')}/notifications", "POST", key, {"payload": {"rawContent": "r"}})
        job = {"audience": {"all": True}, "notification": {"payload": {"rawContent": "to all"}}}
        jobs = [ask(f"{self.url}/v1/notifications", "POST", key, job) for _ in range(3)]
        form = {"grant_type": "client_credentials", "client_id": APP, "client_secret": key}
        credential = {
            "all": lambda: key,
            "send": lambda: self.key("send"),
            "users": lambda: self.key("users"),
            "foreign": lambda: self.provider.token("ada"),
            "access": lambda: ask(f"{self.url}/oauth2/v2.0/token", "POST", form=form)["access_token"],
        }.get(kind, lambda: None)()
        delta = ask(f"{self.url}/v1/me/notifications/delta", bearer=bound)
        cursor = urllib.parse.parse_qs(urllib.parse.urlparse(delta["@odata.deltaLink"]).query)["$deltatoken"][0]
        known = {
            "X-Endpoint-Id": ["desk"],
            "X-UNS-ID": [desk["userNotificationSubscriptionId"]],
            "user": ["ada"],
            # People who are there to be erased.
            "eraseUser.user": gone,
            "endpoint": ["desk"],
            # One that its push service knows, and one without a channel.
            "testEndpoint.endpoint": ["tapped", "desk"],
            "id": [it["id"] for it in posts + jobs],
            "host": [APP],
            "$deltatoken": [cursor],
            "upTo": [cursor],
            "deltaToken": [cursor],
            "client_id": [APP],
            "client_secret": [key],
        }
        return credential, {"known": known, "key": key}

    def stop(self):
        self.process.terminate()
        self.process.wait(30)


# A stream has no end: it is read for a second.
SETTINGS = f"""
hooks = "{HOOKS}"
[warnings]
enabled = false
[[operations]]
include-operation-id = "openStream"
request-timeout = 1
generation.max-examples = 3
"""


def apart(hub, key):
    """Two identities, for the check that neither is given what the other made."""
    keys = {"ours": key, "theirs": hub.key("all", OTHER)}
    auth = [
        {"name": name, "fixedHeaders": [{"name": "Authorization", "value": f"Bearer {value}"}]} for name, value in keys.items()
    ]
    file = hub.folder / "peers.json"
    file.write_text(json.dumps({"auth": auth}))
    return f'[auth.wfc]\npath = "{file}"\npeers = {json.dumps(list(keys))}\n'


def run(kind, doubles):
    began = time.monotonic()
    hub = Hub(kind, doubles)
    try:
        credential, facts = hub.credential(kind, doubles)
        vapid = ask(f"{hub.url}/v1/apps/{APP}/webpush")["publicKey"]
        file = hub.folder / "schemathesis.toml"
        peers = apart(hub, facts["key"]) if kind == "apart" else ""
        file.write_text(SETTINGS + peers)
        facts |= {"kind": kind, "credential": credential, "url": hub.url, "vapid": vapid, **doubles.hosts}
        # From a file: where it is read from a hub, schemathesis asks for all but the description itself.
        description = hub.folder / "openapi.json"
        description.write_text(json.dumps(ask(f"{hub.url}/openapi.json")))
        command = [SCHEMATHESIS, "--config-file", file, "run", description, "--url", hub.url, "--checks", "all"]
        command += ["--seed", SEED, "--max-examples", EXAMPLES, "--continue-on-failure", "--no-color"]
        command += ["--generation-database", "none", "--request-timeout", "35"]
        if kind == "apart":
            command += ["--include-tag", "App server"]
        seen = hub.folder / "seen.json"
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "FACTS": json.dumps(facts), "SEEN": str(seen)}
        done = subprocess.run(command, cwd=hub.folder, env=environment, capture_output=True, text=True)
        (hub.folder / "said").write_text(done.stdout + done.stderr)
        alive = hub.process.poll() is None
    finally:
        hub.stop()
    cases = re.search(r"^ *(\d[\d,]*) generated", done.stdout, re.M)
    cases = int(cases[1].replace(",", "")) if cases else 0
    good = done.returncode == 0 and alive and cases > 0
    took = time.monotonic() - began
    print(f"{'ok      ' if good else 'FAILED  '}{kind}: {cases} cases in {took:.0f} s", flush=True)
    if not good:
        print(done.stdout[-20000:] + done.stderr[-4000:], flush=True)
    return good, cases, json.loads(seen.read_text()) if seen.exists() else {}


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    doubles = Doubles()
    kinds = os.environ.get("KINDS", " ".join(KINDS)).split()
    try:
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            results = list(pool.map(lambda kind: run(kind, doubles), kinds))
    finally:
        doubles.process.terminate()
        doubles.process.wait(30)
    operations = {}
    for _, _, seen in results:
        for operation, statuses in seen.items():
            for status, count in statuses.items():
                told = operations.setdefault(operation, {})
                told[status] = told.get(status, 0) + count
    # A run that is refused everywhere finds nothing either.
    untaken = [operation for operation, told in operations.items() if not any(status[0] == "2" for status in told)]
    for operation, told in sorted(operations.items()):
        print(f"  {operation}: " + ", ".join(f"{status} × {count}" for status, count in sorted(told.items())))
    if untaken:
        print("no run had a request taken by " + ", ".join(untaken))
    cases = sum(cases for _, cases, _ in results)
    print(f"{cases} cases over {len(operations)} operations")
    sys.exit(0 if all(good for good, _, _ in results) and not untaken and operations else 1)


main()
