#!/usr/bin/env bash
# A disk that really fills: some MiB of tmpfs. Needs the right to mount, and fails without it.
#
#   .ci/full-disk.sh [BINARY]      (default target/debug/beckon)
set -euo pipefail
cd "$(dirname "$0")/.."
binary=$(realpath "${1:-target/debug/beckon}")
place=$(mktemp -d -t beckon-full-disk-XXXXXX)
tidy() {
  umount "$place/disk" 2>/dev/null || umount -l "$place/disk" 2>/dev/null || true
  rm -rf "$place"
}
trap tidy EXIT
mkdir "$place/disk"

for round in guarded:24 scattered:96 emptied:96 expired:32 unguarded:24; do
  mount -t tmpfs -o "size=${round#*:}m,mode=0700" tmpfs "$place/disk" \
    || { echo "full-disk: no tmpfs can be mounted here (are you root?)" >&2; exit 1; }
  python3 .ci/full-disk.py "${round%:*}" "$binary" "$place"
  umount "$place/disk"
done
