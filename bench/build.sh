# Sourced by bench/run and bench/prove: builds the sockeye program as released. `top` is the folder
# of the project.

directory=$top/build-bench
# Many sources at once take a fourth of the time.
settings=(-Dbuildtype=release -Dprogram=enabled -Dtests=disabled -Dunity=on -Dunity_size=32)

# quietly WHAT COMMAND...: shows what the command said only where it failed.
quietly() {
    local what=$1 log
    shift
    log=$(mktemp)
    if ! "$@" >"$log" 2>&1 </dev/null; then
        tail -n 60 "$log" >&2
        rm -f "$log"
        echo "${0##*/}: $what failed; see above" >&2
        exit 1
    fi
    rm -f "$log"
}

# The path of the program, as the build knows it.
program() {
    meson introspect --targets "$directory" | python3 -c '
import json, sys
for target in json.load(sys.stdin):
    if target["type"] == "executable" and target["name"] == "sockeye":
        print(target["filename"][0])'
}

# Installs what is missing, and builds. What is said of it goes to standard error.
build_released() {
    install_missing "bench/${0##*/}" "${build_needs[@]}"
    echo "bench/${0##*/}: building in build-bench" >&2
    CXX=${CXX:-g++} quietly 'the configuration' configure "$directory" "${settings[@]}"
    quietly 'the build' ninja -C "$directory"
}
