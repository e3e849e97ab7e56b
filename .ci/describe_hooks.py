"""What schemathesis cannot read in the description, loaded by it through `hooks` (see describe.py).

Two kinds of things: values that have to come of the running hub or of the clock, and the few refusals of well-formed
requests that no schema can foretell. Each of the latter is named by what the hub says of it; any other one fails."""

import atexit
import base64
import collections
import datetime
import gzip
import json
import os
import random
import re
import urllib.request
import zlib

import schemathesis
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import strategies as st
from schemathesis.core.failures import AcceptedNegativeData
from schemathesis.core.parameters import ParameterLocation
from schemathesis.openapi.checks import IgnoredAuth, RejectedPositiveData, UseAfterFree

FACTS = json.loads(os.environ["FACTS"])
KNOWN = FACTS["known"]
# The same choices in every run.
CHOICES = random.Random(8)


def moment(seconds):
    at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def point(nth):
    key = ec.derive_private_key(nth + 1, ec.SECP256R1()).public_key()
    raw = key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


POINTS = [point(nth) for nth in range(8)]
PATHS = st.from_regex(r"[A-Za-z0-9_-]{1,40}", fullmatch=True)

# Requests name moments that are to come, the soonest for a post and the latest within its 30 days.
schemathesis.openapi.format("date-time", st.integers(3600, 29 * 24 * 3600).map(moment))
# Push services at loopback alone, a key on the curve, the app's own key.
schemathesis.openapi.format("web-push-endpoint", PATHS.map(lambda it: f"https://{FACTS['webPush']}/{it}"))
schemathesis.openapi.format("wns-channel-uri", PATHS.map(lambda it: f"https://{FACTS['wns']}/{it}"))
schemathesis.openapi.format("p256-point", st.sampled_from(POINTS))
schemathesis.openapi.format("vapid-public-key", st.just(FACTS["vapid"]))

# What the hub may say of a request that is as the description has it, and why the description cannot say so:
UNTOLD = [
    # a schema counts characters, the hub bytes of UTF-8;
    ("", r"is \d+ bytes long; .* (allows|has 1 to) \d+"),
    # a schema does not compare one member with another;
    (r"(notification\.)?fallbackPolicy\.endpointFallback\.platformTypes", "names a platform that targetPolicy does not"),
    # a schema knows no clock, and has formats for texts alone;
    (r"channel\.expirationTime", "has passed; subscribe again"),
    # a place in a list is the hub's to give out;
    (r"\$skiptoken", "is none that the hub gave"),
    # what a header is needed for depends on the credential.
    ("X-Endpoint-Id", "is missing; receipts are one device's"),
    ("X-UNS-ID", "is missing; it names the user"),
]
# A cursor is the hub's to give out, and these hold one.
CURSORS = ("upTo", "deltaToken", "$deltatoken", "Last-Event-ID")


def is_untold(fault):
    return any(
        re.fullmatch(target or ".*", fault["target"]) and re.search(message, fault["message"]) for target, message in UNTOLD
    )


def holds_cursor(case):
    parts = [case.query or {}, case.headers or {}, case.body if isinstance(case.body, dict) else {}]
    return any(name in part for part in parts for name in CURSORS)


# Tickets that the hub gave out in this run. Schemathesis puts what was answered before into later requests: a good ticket,
# too, which it takes for a wrong credential; and in whose place the headers that name a caller are not read.
TICKETS = set()


@schemathesis.hook
def filter_failure(context, failure, case, response):
    if isinstance(failure, (IgnoredAuth, AcceptedNegativeData)) and (case.query or {}).get("ticket") in TICKETS:
        return False
    # What became of a notification on each device can be asked until it would have expired.
    if isinstance(failure, UseAfterFree) and case.operation.definition.raw["operationId"] == "getDeliveries":
        return False
    # To delete a job is to cancel it; how far it came can still be asked.
    if isinstance(failure, UseAfterFree) and case.operation.definition.raw["operationId"] == "getJob":
        return response.json().get("status") != "cancelled"
    if not isinstance(failure, RejectedPositiveData):
        return True
    if response.status_code == 410:
        return not holds_cursor(case)
    if response.status_code != 400:
        return True
    refusal = response.json()["error"]
    details = refusal.get("details", []) if isinstance(refusal, dict) else []
    return not details or not all(is_untold(fault) for fault in details)


def put(container, name, likely=0.5, key=None):
    """Something that is there, in so many of the cases."""
    found = KNOWN.get(key) or KNOWN.get(name)
    if found and CHOICES.random() < likely:
        container[name] = CHOICES.choice(found)


@schemathesis.hook
def before_call(context, case, kwargs):
    """Has most requests name what is there: those about nothing come no further than 404. What is malformed on purpose stays
    as it is, and so does what follows a link."""
    if case.meta is None:
        return

    def well_formed(location):
        return not case.meta.is_negative_at(location)

    # Where two take turns, each asks for what it made itself.
    if FACTS["kind"] != "apart":
        name_what_is_there(case, well_formed)
    if well_formed(ParameterLocation.BODY) and isinstance(case.body, dict):
        # Schemathesis puts moments here that were answered before, and are past or too far ahead.
        for holder in (case.body, case.body.get("notification")):
            if isinstance(holder, dict) and isinstance(holder.get("expirationDateTime"), str):
                holder["expirationDateTime"] = moment(CHOICES.randint(3600, 29 * 24 * 3600))
    if well_formed(ParameterLocation.HEADER) and isinstance(case.body, dict) and "Content-Encoding" in case.headers:
        kwargs["data"] = packed(case.headers["Content-Encoding"].lower(), json.dumps(case.body).encode())


def name_what_is_there(case, well_formed):
    operation = case.operation
    declared = {it.name for it in operation.iter_parameters()}
    if well_formed(ParameterLocation.HEADER):
        for name in declared & {"X-Endpoint-Id", "X-UNS-ID"}:
            put(case.headers, name, 0.8)
        # A key is for one request; the same twice is a conflict, which the rest of them show.
        if "Idempotency-Key" in case.headers and CHOICES.random() < 0.9:
            case.headers["Idempotency-Key"] = f"key {CHOICES.getrandbits(64)}"
    if well_formed(ParameterLocation.QUERY) and "$deltatoken" in (case.query or {}):
        put(case.query, "$deltatoken")
    named = operation.definition.raw["operationId"]
    if well_formed(ParameterLocation.PATH) and case.meta.phase.name.name != "STATEFUL":
        for name in list(case.path_parameters):
            put(case.path_parameters, name, 0.7, f"{named}.{name}")
        if named == "cancelJob" and CHOICES.random() < 0.3:
            case.path_parameters["id"] = long_job()
    if well_formed(ParameterLocation.BODY) and isinstance(case.body, dict):
        for name in {"upTo", "deltaToken", "client_id", "client_secret"} & set(case.body):
            put(case.body, name)


def packed(encoding, plain):
    return {"gzip": gzip.compress, "x-gzip": gzip.compress, "deflate": zlib.compress}.get(encoding, bytes)(plain)


def long_job():
    """A post to so many that it is under way for a while."""
    body = {"audience": {"users": [f"user {nth}" for nth in range(500)]}, "notification": {"payload": {"rawContent": "r"}}}
    return call("POST", "/v1/notifications", FACTS["key"], body)["id"]


def call(method, path, bearer, body=None):
    headers = {"Authorization": f"Bearer {bearer}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(FACTS["url"] + path, data, headers, method=method)
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


class Caller:
    """Who calls. A device that a request has signed out signs in again, else all that comes after were 401."""

    token = FACTS["credential"]

    def get(self, case, context):
        if FACTS["kind"] in ("bound", "unbound") and Caller.token is None:
            endpoint = "desk" if FACTS["kind"] == "bound" else None
            minted = call("POST", "/v1/users/ada/tokens", FACTS["key"], {"endpointId": endpoint})
            Caller.token = minted["token"]
            none = {"platform": "windows", "channel": {"type": "none"}}
            call("PUT", "/v1/me/endpoints/desk", Caller.token, none)
        return Caller.token

    def set(self, case, data, context):
        # The token endpoint takes its credential in the body, and no second one.
        if "/oauth2/" not in case.path:
            case.headers["Authorization"] = f"Bearer {data}"


if FACTS["kind"] not in ("none", "apart"):
    schemathesis.auth(refresh_interval=None)(Caller)

SEEN = collections.defaultdict(collections.Counter)


@schemathesis.hook
def after_call(context, case, response):
    if response.request.method == "DELETE" and response.status_code == 204 and FACTS["kind"] in ("bound", "unbound"):
        Caller.token = None
    if case.operation.definition.raw["operationId"] == "mintTicket" and response.status_code == 201:
        TICKETS.add(response.json()["ticket"])
    # What was asked with another method than the operation's is none of it.
    if response.request.method == case.operation.method.upper():
        SEEN[case.operation.label][response.status_code] += 1


@atexit.register
def tell():
    with open(os.environ["SEEN"], "w") as file:
        json.dump(SEEN, file)
