#!/usr/bin/env python3
"""Durable before 201: no answer of success may be written to a client before the fdatasync that follows its rows.

    .ci/durability.py [BINARY]        (default target/debug/beckon; needs strace)

The hub runs traced. For each of 50 posts in a row: before `HTTP/1.1 201` is written to the client, the post's own title
must have been written to the store's `db` file, and an fdatasync of that file that began afterwards must have come back
with 0. Before the first, the folder that names the file must have been synced too.
"""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

POSTS = 50
CALLS = "openat,close,dup,fdatasync,fsync,pwrite64,write,writev,sendto,sendmsg,read,recvfrom"
LINE = re.compile(r"^(\d+)\s+([\d.]+) (.*)$")
CALL = re.compile(r"^(\w+)\((\d+)<([^>]*)>")


def fail(words, trace=()):
    print(f"durability: {words}", file=sys.stderr)
    for line in trace:
        print("   ", line, file=sys.stderr)
    sys.exit(1)


def start(binary, folder, trace):
    config = os.path.join(folder, "config.toml")
    with open(config, "w", encoding="utf-8") as file:
        file.write('[server]\nlisten = "127.0.0.1:0"\n[store]\npath = "store"\nmin_free_bytes = 0\n[[app]]\nhost = "todo.example"\n')
    made = subprocess.run([binary, "key", "create", "todo.example", "--json", "--config", config], check=True, stdout=subprocess.PIPE)
    key = json.loads(made.stdout)["key"]
    command = ["strace", "-f", "-y", "-ttt", "-s", "100000", "-e", f"trace={CALLS}", "-o", trace, binary, "serve", "--config", config]
    environment = {**os.environ, "BECKON_LOG__LEVEL": "warn"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    line = process.stdout.readline()
    if not line.startswith("listening on http://"):
        fail(f"the hub did not start: {line!r}")
    return process, line.strip().rsplit("/", 1)[1], key


def title(nth):
    return f"durable-{nth:04}-title"


def post_all(address, key):
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    connection = http.client.HTTPConnection(address, timeout=30)
    for nth in range(1, POSTS + 1):
        body = json.dumps({"payload": {"visualContent": {"title": title(nth), "body": "b" * 300}}})
        connection.request("POST", "/v1/users/ada/notifications", body, headers)
        answer = connection.getresponse()
        answer.read()
        if answer.status != 201:
            fail(f"post {nth} was answered {answer.status}")
    connection.close()


def calls(trace):
    """The calls in the order in which they came back, those that were cut in two put together."""
    begun = {}
    with open(trace, encoding="utf-8", errors="replace") as file:
        for text in file:
            match = LINE.match(text.rstrip("\n"))
            if not match:
                continue
            thread, at, rest = match.groups()
            if rest.endswith("<unfinished ...>"):
                begun[thread] = rest[: -len("<unfinished ...>")]
                # A write to a socket counts from where it began: the client may see it before it has come back.
                yield float(at), "begin", rest
            elif rest.startswith("<... "):
                head = begun.pop(thread, "")
                yield float(at), "end", head + rest.split(" resumed>", 1)[-1]
            else:
                yield float(at), "begin", rest
                yield float(at), "end", rest


def check(trace, db):
    """Walks the trace and gives how many 201 were covered."""
    covered, recent = 0, []
    written = syncing = synced = named = False
    for at, edge, text in calls(trace):
        recent = recent[-30:] + [f"{at} {edge} {text[:120]}"]
        match = CALL.match(text)
        if not match:
            continue
        name, path = match.group(1), match.group(3)
        succeeded = re.search(r"\) += \d+$", text.rstrip()) is not None
        is_write = name in ("pwrite64", "write", "writev", "sendto", "sendmsg")
        if path == db and edge == "end" and is_write and succeeded and title(covered + 1) in text:
            written = True
        elif path == db and name in ("fdatasync", "fsync"):
            if edge == "begin":
                syncing = written
            else:
                synced = synced or (syncing and succeeded)
        elif path == os.path.dirname(db) and name == "fsync" and edge == "end":
            named = named or succeeded
        elif path.startswith(("socket:", "TCP:")) and edge == "begin" and is_write and "HTTP/1.1 201" in text:
            if not (written and synced):
                what = "its rows were written but not synced" if written else "its rows were not even written"
                fail(f"201 no. {covered + 1} left before it was on disk: {what}", recent)
            if not named:
                fail("the folder was never synced: after a power cut it may not name the file", recent)
            covered += 1
            written = syncing = synced = False
    return covered


def main():
    binary = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "target/debug/beckon")
    with tempfile.TemporaryDirectory(prefix="beckon-durability-") as folder:
        folder = os.path.realpath(folder)
        trace = os.path.join(folder, "trace")
        process, address, key = start(binary, folder, trace)
        try:
            post_all(address, key)
        finally:
            # strace hands the signal of its own end to nobody: the hub is its child.
            children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(process.pid)], stdout=subprocess.PIPE, text=True, check=False)
            for child in children.stdout.split():
                os.kill(int(child), signal.SIGTERM)
            process.wait(timeout=20)
        covered = check(trace, os.path.join(folder, "store", "db"))
    if covered != POSTS:
        fail(f"the trace shows {covered} answers of {POSTS}")
    print(f"durability: {covered} posts, each on disk before its 201")


if __name__ == "__main__":
    began = time.monotonic()
    main()
    print(f"durability: took {time.monotonic() - began:.1f} s")
