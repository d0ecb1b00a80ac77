# Sourced by tests/run and bench/run: what they need from the system's packages, and how to get it.

# The lines CHECK=PACKAGE of what builds the library and the program. CHECK is a command or, with
# a dot in its name, a header or a library.
build_needs=(
    meson=meson ninja=ninja-build g++=g++ pkg-config=pkg-config python3=python3
    CLI/CLI.hpp=libcli11-dev fmt/format.h=libfmt-dev nlohmann/json.hpp=nlohmann-json3-dev
    valijson/validator.hpp=libvalijson-dev
)

# What the servers that bench/run compares with are built on.
peer_needs=(
    uv.h=libuv1-dev event2/event.h=libevent-dev ev.h=libev-dev asio.hpp=libasio-dev
)

is_present() {
    case $1 in
    *.h | *.hpp)
        if command -v c++ >/dev/null; then
            echo "#include <$1>" | c++ -x c++ -std=c++20 -E -o /dev/null - 2>/dev/null
        else
            [ -e "/usr/include/$1" ] || [ -e "/usr/local/include/$1" ]
        fi
        ;;
    *.so.*) ldconfig -p 2>/dev/null | grep -q "$1" || /sbin/ldconfig -p | grep -q "$1" ;;
    *) command -v "$1" >/dev/null ;;
    esac
}

# unpack_daemons DIRECTORY COMMAND=PACKAGE...: for packages whose installation would start a service
# of the machine's. Their programs lie in DIRECTORY/usr/sbin then. 1 where one cannot be had.
unpack_daemons() {
    local directory=$1 need name status=0
    shift
    for need in "$@"; do
        name=$directory/usr/sbin/${need%%=*}
        [ ! -x "$name" ] || continue
        mkdir -p "$directory" &&
            (cd "$directory" && rm -f ./*.deb && apt-get download "${need#*=}" &&
                dpkg -x ./*.deb . && rm -f ./*.deb) >/dev/null 2>&1
        [ -x "$name" ] || status=1
    done
    return "$status"
}

# Names the packages of those CHECK=PACKAGE that are not there, each once.
missing_packages() {
    local need
    for need in "$@"; do
        is_present "${need%%=*}" || echo "${need#*=}"
    done | sort -u
}

# as_root COMMAND...: runs it as root, without asking where nobody can answer.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif [ -t 0 ]; then
        sudo "$@"
    else
        sudo -n "$@"
    fi
}

can_be_root() {
    [ "$(id -u)" != 0 ] || return 0
    command -v sudo >/dev/null || return 1
    [ -t 0 ] || sudo -n true 2>/dev/null
}

# install_missing WHO CHECK=PACKAGE...: talks to standard error; 1 where something is still missing.
install_missing() {
    local who=$1 packages log
    shift
    packages=$(missing_packages "$@" | tr '\n' ' ')
    packages=${packages% }
    [ -n "$packages" ] || return 0
    if ! command -v apt-get >/dev/null; then
        echo "$who: missing: $packages (Debian's names); install them with this system's tools" >&2
        return 1
    fi
    if ! can_be_root; then
        echo "$who: missing: $packages; run as root: apt-get install $packages" >&2
        return 1
    fi
    echo "$who: installing $packages" >&2
    log=$(mktemp)
    # shellcheck disable=SC2086 # one word a package
    if ! { as_root apt-get -o DPkg::Lock::Timeout=300 update &&
        as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 \
            install -y --no-install-recommends $packages; } >"$log" 2>&1 </dev/null; then
        tail -n 20 "$log" >&2
        rm -f "$log"
        echo "$who: could not install $packages; see above" >&2
        return 1
    fi
    rm -f "$log"
    packages=$(missing_packages "$@" | tr '\n' ' ')
    if [ -n "$packages" ]; then
        echo "$who: still missing after the installation: ${packages% }" >&2
        return 1
    fi
}

# configure DIRECTORY MESON_OPTIONS...: also where an earlier build stands there, or half of one.
configure() {
    local directory=$1
    shift
    if [ -f "$directory/build.ninja" ] &&
        meson setup --reconfigure "$directory" "$top" "$@"; then
        return 0
    fi
    rm -rf "$directory"
    meson setup "$directory" "$top" "$@"
}
