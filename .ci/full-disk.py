"""What a hub does on a disk that fills. Called by full-disk.sh, which has mounted 24 MiB at PLACE/disk, 32 for `expired`, or 96 for
`scattered` and `emptied`.

    full-disk.py guarded|scattered|emptied|expired|unguarded BINARY PLACE

guarded:   with store.min_free_bytes = 4 MiB the answer is 503 before the disk is full; reads go on; writing resumes by
           itself when there is room, made by deleting or by others, and so does a broadcast, which skips nobody and
           repeats nobody.
scattered: with 16 MiB, what is deleted here and there makes room for as much, again and again; no deletion is refused.
emptied:   the same, but nearly all is deleted: the store's file becomes short, or it moves to a new one by itself, and as much
           can come as before.
           A hub that was killed starts again with 1 MiB free.
expired:   with 8 MiB, all expires: as much can come as before, again and again, and nothing ends the hub.
unguarded: with 0 the disk fills under the store. No request may hang: each is answered or cut within 20 s, and the
           process either goes on answering 503 or ends with an error. With room again everything acknowledged is there.
"""

import http.client
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

BALLAST = 8 << 20
RAW = "r" * (30 << 10)
PATIENCE = 20
CYCLES = 4
EMPTYINGS = 2
LIFE = 10
SIZES = [50, 200, 1000, 3000, 8000, 16000, 30000]
POSTS = "/v1/users/ada/notifications"
MANY = "/v1/notifications"
PEOPLE = [f"person-{nth}" for nth in range(1500)]


class Hub:
    def __init__(self, binary, place, min_free):
        self.binary, self.config = binary, os.path.join(place, "config.toml")
        self.log = os.path.join(place, "log")
        store = os.path.join(place, "disk", "store")
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(f'[server]\nlisten = "127.0.0.1:0"\n[store]\npath = "{store}"\nmin_free_bytes = {min_free}\n')
            file.write('[log]\nlevel = "warn"\n[[app]]\nhost = "todo.example"\n')
        self.key = json.loads(self.command("key", "create", "todo.example", "--json").stdout)["key"]
        self.process = self.address = None

    def command(self, *words):
        return subprocess.run([self.binary, *words, "--config", self.config], stdout=subprocess.PIPE, text=True, check=True, timeout=60)

    def start(self):
        with open(self.log, "a", encoding="utf-8") as log:
            self.process = subprocess.Popen([self.binary, "serve", "--config", self.config], stdout=subprocess.PIPE, stderr=log, text=True)
        line = self.process.stdout.readline()
        if not line.startswith("listening on http://"):
            self.fail(f"it did not start: {line!r}")
        self.address = line.strip().rsplit("/", 1)[1]

    def kill(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
        if self.process is not None:
            self.process.wait()

    def ask(self, method, path, body=None):
        """The status, the headers and the JSON of an answer; None where the hub has gone away. A hang fails."""
        began = time.monotonic()
        connection = http.client.HTTPConnection(self.address, timeout=PATIENCE)
        headers = {"authorization": f"Bearer {self.key}", "content-type": "application/json"}
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, answer.headers, json.loads(text) if text else None
        except TimeoutError:
            self.fail(f"{method} {path} hung for {time.monotonic() - began:.0f} s")
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def post(self, raw=RAW, **more):
        return self.ask("POST", POSTS, {"payload": {"rawContent": raw}, **more})

    def post_to_all(self):
        body = {"audience": {"users": PEOPLE}, "notification": {"payload": {"rawContent": "r"}}}
        return self.ask("POST", MANY, body)

    def job(self, id):
        status, _, job = self.ask("GET", f"{MANY}/{id}")
        self.expect(status == 200, f"the job was answered {status}")
        return job

    def held(self, lengths=None):
        """The ids of what there is, and whether each has its content, which may be of other lengths."""
        path, held = POSTS + "?$top=1000", set()
        while path:
            answer = self.ask("GET", path)
            self.expect(answer is not None, "a read was not answered")
            status, _, page = answer
            self.expect(status == 200, f"a read was answered {status}")
            for it in page["value"]:
                raw = RAW if lengths is None else "r" * lengths[it["id"]]
                self.expect(it["payload"]["rawContent"] == raw, f"{it['id']} lost its content")
                held.add(it["id"])
            link = page.get("@odata.nextLink")
            path = link and "/" + link.split("/", 3)[3]
        return held

    def said(self):
        with open(self.log, encoding="utf-8") as log:
            return log.read()

    def is_sound(self):
        findings = json.loads(self.command("store", "verify", "--json").stdout)
        self.expect(findings == {"value": []}, f"the store disagrees with itself: {findings}")

    def expect(self, so, words):
        if not so:
            self.fail(words)

    def fail(self, words):
        print(f"full-disk: {words}", file=sys.stderr, flush=True)
        if os.path.exists(self.log):
            with open(self.log, encoding="utf-8") as log:
                print("".join(log.readlines()[-20:]), file=sys.stderr, flush=True)
        self.kill()
        os._exit(1)


def ballast(place):
    path = os.path.join(place, "disk", "ballast")
    with open(path, "wb") as file:
        file.write(b"\1" * BALLAST)
    return path


def crowd(place, left):
    """Leaves so many bytes free."""
    with open(os.path.join(place, "disk", "others"), "wb") as file:
        file.write(bytes(free(place) - left))


def free(place):
    stat = os.statvfs(os.path.join(place, "disk"))
    return stat.f_bavail * stat.f_frsize


def until(hub, what, found):
    began = time.monotonic()
    while not found():
        hub.expect(time.monotonic() - began < PATIENCE, f"still not so after {PATIENCE} s: {what}")
        time.sleep(0.05)


def guarded(binary, place):
    heavy = ballast(place)
    hub = Hub(binary, place, 4 << 20)
    hub.start()
    status, _, accepted = hub.post_to_all()
    hub.expect(status == 202, f"an audience was answered {status}")
    kept = set()
    while True:
        status, headers, body = hub.post()
        if status != 201:
            break
        kept.add(body["id"])
        hub.expect(len(kept) < 1000, "the disk never filled")
    hub.expect(status == 503, f"a full disk was answered {status}")
    hub.expect(body["error"]["code"] == "serviceUnavailable", f"the code is {body}")
    hub.expect(headers["retry-after"] is not None and int(headers["retry-after"]) > 0, "503 without Retry-After")
    first = len(kept)
    hub.expect(first > 20, f"only {first} fitted")
    hub.expect(hub.held() == kept, "what a full hub reads is not what it acknowledged")
    status, _, ready = hub.ask("GET", "/readyz")
    hub.expect((status, ready) == (200, {"status": "degraded"}), f"/readyz says {status} {ready}")
    hub.expect(hub.post_to_all()[0] == 503, "a full disk takes another audience")
    hub.expect(hub.ask("POST", "/v1/users/ada/tokens", {})[0] == 503, "a full disk takes another token")
    checked = subprocess.run([binary, "check", "--config", hub.config], stdout=subprocess.PIPE, text=True)
    hub.expect(checked.returncode == 1 and "the disk is nearly full" in checked.stdout, f"`check` says {checked.stdout}")
    until(hub, "the log says that a broadcast cannot go on", lambda: "a broadcast cannot go on" in hub.said())
    paused = hub.job(accepted["id"])
    hub.expect(paused["status"] == "running" and paused["done"] < len(PEOPLE), f"the job says {paused}")
    for gone in sorted(kept)[: len(kept) * 3 // 4]:
        status, _, _ = hub.ask("DELETE", f"{POSTS}/{gone}")
        hub.expect(status == 204, f"deleting, which makes room, was answered {status}")
        kept.remove(gone)

    def posted():
        status, _, body = hub.post()
        if status == 201:
            kept.add(body["id"])
        return status == 201

    until(hub, "what was deleted makes room", posted)
    while posted():
        hub.expect(len(kept) < 1000, "the disk never filled again")
    again = len(kept)
    os.remove(heavy)
    until(hub, "writing resumes by itself", posted)
    until(hub, "the broadcast goes on by itself", lambda: hub.job(accepted["id"])["status"] == "completed")
    done = hub.job(accepted["id"])
    hub.expect((done["done"], done["failed"]) == (len(PEOPLE), 0), f"the job says {done}")
    for person in PEOPLE:
        _, _, page = hub.ask("GET", f"/v1/users/{person}/notifications")
        hub.expect(len(page["value"]) == 1, f"{person} has {len(page['value'])}")
    hub.expect(hub.ask("GET", "/readyz")[2] == {"status": "ready"}, "/readyz stays degraded")
    hub.kill()
    hub.is_sound()
    hub.start()
    hub.expect(hub.held() == kept, "something acknowledged is lost")
    hub.kill()
    print(
        f"full-disk: guarded: 503 after {first} posts, and after {again} once three in four were deleted; nothing lost, resumed by itself; "
        f"a broadcast waited at {paused['done']} of {len(PEOPLE)} people and reached each once"
    )


def scattered(binary, place):
    hub, kept = Hub(binary, place, 16 << 20), set()
    hub.start()

    def posted():
        status, _, body = hub.post()
        hub.expect(status in (201, 503), f"a post was answered {status}")
        if status == 201:
            kept.add(body["id"])
        return status == 201

    while posted():
        hub.expect(len(kept) < 5000, "the disk never filled")
    first, chance = len(kept), random.Random(1)
    for _ in range(CYCLES):
        gone = chance.sample(sorted(kept), len(kept) * 3 // 10)
        for id in gone:
            status, _, _ = hub.ask("DELETE", f"{POSTS}/{id}")
            hub.expect(status == 204, f"deleting was answered {status}")
            kept.remove(id)
        came = 0
        while posted():
            came += 1
        hub.expect(came > len(gone) * 9 // 10, f"for {len(gone)} that were deleted {came} could come")
    hub.expect(hub.held() == kept, "what it reads is not what it acknowledged")
    hub.kill()
    hub.is_sound()
    hub.start()
    hub.expect(hub.held() == kept, "something acknowledged is lost")
    hub.kill()
    print(f"full-disk: scattered: 503 after {first} posts; {CYCLES} times three in ten deleted at random, and as many posted; nothing lost")


def emptied(binary, place):
    mark = 16 << 20
    hub, kept, chance = Hub(binary, place, mark), {}, random.Random(1)
    hub.start()

    def has_moved(nth):
        return hub.said().count("has moved to a new file") > nth

    def fill():
        came = 0
        while True:
            length = chance.choice(SIZES)
            status, _, body = hub.post("r" * length)
            if status == 503:
                return came
            hub.expect(status == 201, f"a post was answered {status}")
            kept[body["id"]] = length
            came += 1

    first = fill()
    for nth in range(EMPTYINGS):
        for id in chance.sample(sorted(kept), len(kept) * 19 // 20):
            status, _, _ = hub.ask("DELETE", f"{POSTS}/{id}")
            hub.expect(status == 204, f"deleting was answered {status}")
            del kept[id]
        until(hub, "the store moves to a new file, or its own becomes short", lambda: has_moved(nth) or free(place) > 2 * mark)
        again = fill()
        hub.expect(again > first * 3 // 4, f"where {first} fitted, {again} do")
    hub.expect(hub.held(kept) == kept.keys(), "what it reads is not what it acknowledged")
    hub.kill()
    hub.is_sound()
    crowd(place, 1 << 20)
    for _ in range(3):
        hub.start()
        hub.expect(hub.held(kept) == kept.keys(), "something acknowledged is lost")
        hub.kill()
    hub.is_sound()
    print(f"full-disk: emptied: 503 after {first} posts of many lengths; {EMPTYINGS} times 19 in 20 deleted, then {again} more; nothing lost")


def expired(binary, place):
    hub, fitted = Hub(binary, place, 8 << 20), []
    hub.start()
    for _ in range(3):
        until(hub, "what has expired makes room", lambda: hub.post(expirationDateTime=soon(1))[0] == 201)
        came, end = 0, soon(LIFE)
        while hub.post(expirationDateTime=end)[0] == 201:
            came += 1
        fitted.append(came)
        hub.expect(came > 100, f"only {came} fitted")
        time.sleep(LIFE)
    hub.expect(min(fitted) > fitted[0] * 3 // 4, f"there fitted {fitted}")
    hub.kill()
    hub.is_sound()
    print(f"full-disk: expired: 503 after {fitted} posts of {LIFE} s, each time once those before had expired")


def soon(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))


def unguarded(binary, place):
    heavy = ballast(place)
    hub = Hub(binary, place, 0)
    hub.start()
    kept, statuses, lock = set(), set(), threading.Lock()
    refused = threading.Event()

    def write():
        while not refused.is_set():
            answer = hub.post()
            with lock:
                if answer is not None and answer[0] == 201:
                    kept.add(answer[2]["id"])
                    continue
                statuses.add(answer[0] if answer else "cut")
            refused.set()

    writers = [threading.Thread(target=write, daemon=True) for _ in range(4)]
    for writer in writers:
        writer.start()
    hub.expect(refused.wait(60), "the disk never filled")
    began = time.monotonic()
    for writer in writers:
        writer.join(PATIENCE)
        hub.expect(not writer.is_alive(), "a post hung")
    hub.expect(statuses <= {503, "cut"}, f"posts to a full disk were answered {statuses}")
    for method, path in [("GET", POSTS + "?$top=5"), ("GET", "/readyz"), ("GET", "/healthz")]:
        answer = hub.ask(method, path)
        statuses.add(answer[0] if answer else "cut")
    answer = hub.post()
    hub.expect(answer is None or answer[0] == 503, f"a post to a full disk was answered {answer}")
    try:
        code = hub.process.wait(max(0.1, PATIENCE - (time.monotonic() - began)))
        hub.expect(code not in (0, -signal.SIGABRT, -signal.SIGSEGV, 101), f"it ended with {code}")
        end = f"it ended with {code} after {time.monotonic() - began:.1f} s"
    except subprocess.TimeoutExpired:
        answer = hub.post()
        hub.expect(answer is not None and answer[0] == 503, f"it neither ended nor answers 503: {answer}")
        end = "it goes on answering 503"
    hub.kill()
    os.remove(heavy)
    hub.is_sound()
    hub.start()
    held = hub.held()
    hub.expect(kept <= held, f"{len(kept - held)} of {len(kept)} acknowledged are lost")
    hub.expect(hub.post()[0] == 201, "with room again it does not write")
    hub.kill()
    print(f"full-disk: unguarded: {len(kept)} posts, then {sorted(map(str, statuses))}, {end}; nothing lost")


if __name__ == "__main__":
    {"guarded": guarded, "scattered": scattered, "emptied": emptied, "expired": expired, "unguarded": unguarded}[sys.argv[1]](sys.argv[2], sys.argv[3])
