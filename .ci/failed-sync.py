#!/usr/bin/env python3
"""A sync of the disk that fails ends the hub: it never goes on in doubt, and nothing acknowledged is lost.

    .ci/failed-sync.py [BINARY]       (default target/debug/beckon; needs strace, and the right to trace a process)

The kernel is made to answer EIO to the store's fdatasync in the middle of a row of posts; and once more, to its fsync
as well, which the engine calls as it is let go of. From then on no post may be answered with success, the process must
end by itself with a code that a supervisor restarts on, and say why. Started again, it must have every post that was
answered 201, and find its store sound.
"""

import http.client
import json
import os
import subprocess
import sys
import tempfile
import threading
import time

# How many posts are taken before the disk fails.
FAILS_AFTER = 25
MOST = 200


def fail(words):
    print(f"failed-sync: {words}", file=sys.stderr)
    sys.exit(1)


def start(command, config, stderr):
    environment = {**os.environ, "BECKON_LOG__LEVEL": "warn"}
    process = subprocess.Popen([*command, "serve", "--config", config], stdout=subprocess.PIPE, stderr=stderr, text=True, env=environment)
    line = process.stdout.readline()
    if not line.startswith("listening on http://"):
        fail(f"the hub did not start: {line!r}")
    return process, line.strip().rsplit("/", 1)[1]


def call(address, key, method, path, body=None):
    connection = http.client.HTTPConnection(address, timeout=30)
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    connection.request(method, path, body and json.dumps(body), headers)
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return answer.status, text


def break_disk(process, calls):
    """From when this returns, these calls of the process fail."""
    inject = ["strace", "-f", "-p", str(process.pid), "-e", f"trace={calls}", "-e", f"inject={calls}:error=EIO", "-o", "/dev/null"]
    tracer = subprocess.Popen(inject, stderr=subprocess.PIPE, text=True)
    line = tracer.stderr.readline()
    if "attached" not in line:
        process.kill()
        fail(f"the process cannot be traced: {line!r}")
    # It ends with the process.
    threading.Thread(target=tracer.communicate, daemon=True).start()


def post_until_it_fails(address, key, fails):
    acknowledged = []
    for nth in range(MOST):
        if nth == FAILS_AFTER:
            fails()
        try:
            status, text = call(address, key, "POST", "/v1/users/ada/notifications", {"payload": {"rawContent": f"post {nth}"}})
        except (OSError, http.client.HTTPException):
            return acknowledged
        if status == 201:
            acknowledged.append(json.loads(text)["id"])
        elif status == 503:
            return acknowledged
        else:
            fail(f"post {nth} was answered {status}: {text}")
    fail(f"{MOST} posts were taken, though the disk failed")


def main():
    binary = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "target/debug/beckon")
    for calls in ["fdatasync", "fdatasync,fsync"]:
        with tempfile.TemporaryDirectory(prefix="beckon-failed-sync-") as folder:
            check(binary, folder, calls)


def check(binary, folder, calls):
    config = os.path.join(folder, "config.toml")
    with open(config, "w", encoding="utf-8") as file:
        file.write('[server]\nlisten = "127.0.0.1:0"\n[store]\npath = "store"\nmin_free_bytes = 0\n[[app]]\nhost = "todo.example"\n')
    made = subprocess.run([binary, "key", "create", "todo.example", "--json", "--config", config], check=True, stdout=subprocess.PIPE)
    key = json.loads(made.stdout)["key"]
    said = os.path.join(folder, "stderr")
    with open(said, "w", encoding="utf-8") as stderr:
        process, address = start([binary], config, stderr)
        acknowledged = post_until_it_fails(address, key, lambda: break_disk(process, calls))
        try:
            code = process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            fail("the hub goes on after a sync that failed")
    with open(said, encoding="utf-8") as stderr:
        words = stderr.read()
    if code != 1 or "cannot sync the store to disk" not in words or "mend that and start again" not in words or "panicked" in words:
        fail(f"the hub ended with {code} and said: {words}")
    if len(acknowledged) < FAILS_AFTER:
        fail("a post failed before the disk did")
    process, address = start([binary], config, None)
    _, text = call(address, key, "GET", "/v1/users/ada/notifications?$top=1000")
    there = {it["id"] for it in json.loads(text)["value"]}
    process.terminate()
    process.wait(timeout=20)
    lost = [it for it in acknowledged if it not in there]
    if lost:
        fail(f"{len(lost)} of {len(acknowledged)} acknowledged posts are lost")
    subprocess.run([binary, "store", "verify", "--config", config], check=True, stdout=subprocess.DEVNULL)
    print(f"failed-sync: after {len(acknowledged)} posts {calls} failed; the hub ended with {code} and lost none")


if __name__ == "__main__":
    began = time.monotonic()
    main()
    print(f"failed-sync: took {time.monotonic() - began:.1f} s")
