"""Reads `cargo metadata` on stdin: every dependency comes from the registry and may be used by anyone."""

import json
import sys

FREE = {
    "MIT", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "Zlib", "0BSD", "CC0-1.0", "Unlicense", "Unicode-3.0",
    "Unicode-DFS-2016", "MPL-2.0", "OpenSSL", "CDLA-Permissive-2.0", "BSL-1.0", "MIT-0",
    "Apache-2.0 WITH LLVM-exception",
}


def is_free(licence):
    """Whether a licence expression can be met with free ones alone: any of its alternatives, all of its parts."""
    text = licence.replace("(", " ").replace(")", " ").replace("/", " OR ")
    return any(
        all(part.strip() in FREE for part in choice.split(" AND "))
        for choice in text.split(" OR ")
        if choice.strip()
    ) or all(part.strip() in FREE for part in text.replace(" OR ", " AND ").split(" AND ") if part.strip())


def main():
    packages = [it for it in json.load(sys.stdin)["packages"] if it["source"]]
    faults = [
        f"{it['name']} {it['version']}: {it['source']}"
        for it in packages
        if not it["source"].startswith("registry+")
    ]
    faults += [
        f"{it['name']} {it['version']}: licence {it['license']!r}"
        for it in packages
        if not is_free(it["license"] or "")
    ]
    if faults or len(packages) < 100:
        sys.exit("\n".join(faults) or "the dependencies were not read")
    print(f"{len(packages)} packages, all from the registry and free")


main()
