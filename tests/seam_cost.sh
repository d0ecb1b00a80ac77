#!/usr/bin/env bash
# What the seam to the kernel costs of an echoed message, in instructions: it must be less than a
# hundredth; and what an idle deadline costs it: less than twenty. Argument: the program seam_cost.
set -uo pipefail

if ! command -v valgrind >/dev/null; then
    echo "valgrind is not there"
    exit 77
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
program=$1

# instructions MODE N: all of that run.
instructions() {
    valgrind --tool=callgrind --callgrind-out-file="$scratch/out" "$program" "$1" "$2" \
        >"$scratch/said" 2>"$scratch/log" || { cat "$scratch/log" >&2 && exit 1; }
    sed -n 's/^==[0-9]*== Collected : \([0-9]*\)$/\1/p' "$scratch/log"
}

# each COUNTER MODE: for one of many, in hundredths; what the start costs falls out.
each() {
    local few=2000 many=12000
    echo $((($("$1" "$2" "$many") - $("$1" "$2" "$few")) * 100 / (many - few)))
}

message=$(each instructions echo)
idle=$(($(each instructions idle) - message))
calls=$(each "$program" count)
dispatch=$(($(each instructions virtual) - $(each instructions direct)))
[ "$message" -gt 0 ] && [ "$calls" -gt 0 ] && [ "$dispatch" -ge 0 ] || exit 1
cost=$((calls * dispatch * 100 / message)) # in hundredths of a percent
awk -v m="$message" -v c="$calls" -v d="$dispatch" -v all="$cost" 'BEGIN {
    printf "a message: %.2f instructions, %.2f calls of the kernel; ", m / 100, c / 100
    printf "a virtual call: %.2f more than a direct one; the seam: %.2f %%\n", d / 100, all / 100
}'
awk -v i="$idle" 'BEGIN { printf "an idle deadline: %.2f instructions of a message\n", i / 100 }'
[ "$cost" -lt 100 ] && [ "$idle" -lt 2000 ]
