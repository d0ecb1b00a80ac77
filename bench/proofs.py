"""The proofs of bench/prove: each gives the program something known, and looks for it."""

import argparse
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

MILLISECOND = 1_000_000


class Failed(Exception):
    pass


class Skipped(Exception):
    pass


def require(condition, text):
    """Notes what was measured, and fails where it is not what it has to be."""
    if not condition:
        raise Failed(text)
    return text


class Bench:
    """Runs `sockeye bench` and gives its document."""

    def __init__(self, program):
        self.program = program

    def command(self, *options):
        return [self.program, "bench", "--json", "--no-save", *options]

    def run(self, *options, status=0):
        ended = subprocess.run(self.command(*options), capture_output=True, text=True, timeout=900)
        if ended.returncode != status:
            raise Failed(f"status {ended.returncode}: {ended.stderr.strip()[-300:]}")
        return json.loads(ended.stdout)

    def serve(self, *arguments):
        """Starts `sockeye serve` and gives the process and where it listens."""
        server = subprocess.Popen([self.program, "serve", *arguments], stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL, text=True)
        place = re.search(r"(tcp|udp)://\S+", server.stdout.readline()).group(0)
        return server, place


def only_round(document):
    return document["results"][0]["rounds"][0]


def flags_of(document):
    return [flag["id"] for flag in document["trust"]["flags"]]


def child_of(pid):
    """The server that the bench has started."""
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat") as file:
                fields = file.read().rsplit(")", 1)[1].split()
            with open(f"/proc/{name}/cmdline", "rb") as file:
                words = file.read().split(b"\0")
        except OSError:
            continue
        if int(fields[1]) == pid and b"bench-server" in words:
            return int(name)
    return None


def run_with_pause(bench, *options):
    """Stops the server for 250 ms in the middle of a window of 4 s."""
    with tempfile.TemporaryFile("w+") as output:
        running = subprocess.Popen(
            bench.command("-b", "epoll", "--no-control", "--rounds", "1", "-d", "4s",
                          "--progress", "ndjson", *options),
            stdout=output, stderr=subprocess.PIPE, text=True)
        for line in running.stderr:
            if line.startswith("{") and json.loads(line)["at_ns"] > 1000 * MILLISECOND:
                break
        server = child_of(running.pid)
        os.kill(server, signal.SIGSTOP)
        time.sleep(0.25)
        os.kill(server, signal.SIGCONT)
        running.stderr.read()
        running.wait(timeout=60)
        output.seek(0)
        return only_round(json.load(output))


def prove_pause(bench):
    opened = run_with_pause(bench, "-r", "1k/s")["response_ns"]
    closed = run_with_pause(bench)["service_ns"]
    text = (f"open loop p99 {opened['p99'] / MILLISECOND:.0f} ms, "
            f"max {opened['max'] / MILLISECOND:.0f} ms; "
            f"closed loop p99 {closed['p99'] / MILLISECOND:.2f} ms")
    return require(150 <= opened["p99"] / MILLISECOND <= 250 and
                   opened["max"] >= 245 * MILLISECOND and closed["p99"] < 5 * MILLISECOND, text)


def median_service_ms(bench, place, *options):
    document = bench.run(place, "-d", "2s", "--rounds", "1", *options)
    return only_round(document)["service_ns"]["p50"] / MILLISECOND


def prove_known_delay(bench):
    server, place = bench.serve("echo", ":0", "--delay", "1ms")
    try:
        # Often enough that no CPU falls asleep in between: to wake one takes 50 us.
        medians = [median_service_ms(bench, place, "-c", "16", "-r", "5k/s") for _ in range(3)]
    finally:
        server.terminate()
        server.wait()
    return require(all(1.0 <= each <= 1.15 for each in medians),
                   "median service " + ", ".join(f"{each:.3f}" for each in medians) + " ms")


def verdicts_of(bench, matrices, old, new):
    """What `new` was called beside `old` in so many runs, by CPU per message on one core."""
    found = {}
    for _ in range(matrices):
        document = bench.run("--ab", old, new, "-b", "epoll", "-c", "64", "--one-core", "-d",
                             "250ms", "--warmup", "50ms", "--rounds", "8")
        for each in document["comparisons"]:
            if each["metric"] == "cpu_ns_per_message":
                found[each["verdict"]] = found.get(each["verdict"], 0) + 1
    return found


def in_words(verdicts):
    return ", ".join(f"{count} {name}" for name, count in sorted(verdicts.items()))


def prove_equal_servers(bench, matrices):
    found = verdicts_of(bench, matrices, bench.program, bench.program)
    wrong = found.get("faster", 0) + found.get("slower", 0)
    told = matrices - found.get("none", 0)
    return require(wrong <= matrices // 10 and told * 2 > matrices,
                   f"{matrices} matrices of a server and itself: {in_words(found)}")


def prove_slower_server(bench, matrices):
    with tempfile.TemporaryDirectory() as folder:
        slow = os.path.join(folder, "slow")
        with open(slow, "w") as file:
            file.write(f'#!/bin/sh\nexec "{bench.program}" "$@" --burn 5us\n')
        os.chmod(slow, 0o755)
        found = verdicts_of(bench, matrices, bench.program, slow)
    return require(found.get("slower", 0) >= matrices * 38 // 40,
                   f"{matrices} matrices beside a server with 5 us more: {in_words(found)}")


def prove_slow_client(bench):
    document = bench.run("-b", "epoll", "--no-control", "--rounds", "3", "-d", "500ms",
                         "-r", "10k/s", "--burn", "90us")
    opened = flags_of(document)
    document = bench.run("-b", "epoll", "--no-control", "--rounds", "3", "-d", "500ms",
                         "-c", "64", "--burn", "50us")
    closed = flags_of(document)
    return require("lag" in opened and "client-bound" in closed,
                   f"open loop: {', '.join(opened)}; closed loop: {', '.join(closed)}")


def prove_contended(bench):
    burners = [subprocess.Popen([sys.executable, "-c", "while True: pass"])
               for _ in range(2 * os.cpu_count())]
    try:
        document = bench.run("--quick", "-b", "epoll,poll")
    finally:
        for each in burners:
            each.kill()
            each.wait()
    grade = document["trust"]["grade"]
    verdicts = {each["verdict"] for each in document["comparisons"]}
    return require(grade == "C" and "contended" in flags_of(document) and verdicts == {"none"},
                   f"grade {grade}: {', '.join(flags_of(document))}; verdicts: {verdicts}")


def free_port(kind):
    with socket.socket(socket.AF_INET, kind) as found:
        found.bind(("127.0.0.1", 0))
        return str(found.getsockname()[1])


def sockperf_rtt(kind, option):
    """The median round trip of sockperf's ping-pong in ns, server on CPU 1 and client on 0."""
    port = free_port(kind)
    place = ["-i", "127.0.0.1", "-p", port, *option]
    server = subprocess.Popen(["taskset", "-c", "1", "sockperf", "server", *place],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(1)
        ended = subprocess.run(["taskset", "-c", "0", "sockperf", "ping-pong", *place, "-t", "3",
                                "-m", "64"], capture_output=True, text=True, timeout=60)
    finally:
        server.terminate()
        server.wait()
    half = re.search(r"percentile 50\.0+\s*=\s*([\d.]+)", ended.stdout)
    if not half:
        raise Failed("sockperf said no median: " + ended.stdout.strip()[-200:])
    return float(half.group(1)) * 2 * 1000


def prove_cross_tool(bench):
    if not shutil.which("sockperf") or not shutil.which("taskset"):
        raise Skipped("sockperf is not installed")
    if os.cpu_count() < 2:
        raise Skipped("needs two CPUs")
    texts = []
    is_near = True
    for kind, option, carrier in ((socket.SOCK_DGRAM, [], "udp"),
                                  (socket.SOCK_STREAM, ["--tcp"], "tcp")):
        pairs = []
        for _ in range(5):
            theirs = sockperf_rtt(kind, option)
            document = bench.run("-m", "wake", "--transport", carrier, "-b", "epoll",
                                 "--no-control", "--rounds", "1", "-d", "3s",
                                 "--pin", "server=1,client=0")
            pairs.append(only_round(document)["service_ns"]["p50"] / theirs)
        ratio = sorted(pairs)[len(pairs) // 2]
        is_near = is_near and 0.9 <= ratio <= 1.1
        texts.append(f"{carrier} {ratio:.2f} of sockperf's median")
    return require(is_near, "; ".join(texts))


def main():
    parser = argparse.ArgumentParser(prog="bench/prove")
    parser.add_argument("program", help=argparse.SUPPRESS)
    parser.add_argument("--only", metavar="N,...", default="")
    parser.add_argument("--matrices", metavar="N", type=int, default=40,
                        help="of proofs 3 and 4; 40 by default")
    asked = parser.parse_args()
    bench = Bench(asked.program)
    proofs = [
        (1, "a pause of 250 ms", lambda: prove_pause(bench)),
        (2, "a delay of 1 ms", lambda: prove_known_delay(bench)),
        (3, "equal servers", lambda: prove_equal_servers(bench, asked.matrices)),
        (4, "a slower server", lambda: prove_slower_server(bench, asked.matrices)),
        (6, "a slow client", lambda: prove_slow_client(bench)),
        (9, "a busy machine", lambda: prove_contended(bench)),
        (12, "another tool", lambda: prove_cross_tool(bench)),
    ]
    wanted = {int(each) for each in asked.only.split(",") if each}
    passed = failed = skipped = 0
    for number, name, prove in proofs:
        if wanted and number not in wanted:
            continue
        try:
            text, word = prove(), "passed"
            passed += 1
        except Skipped as why:
            text, word = why, "skipped"
            skipped += 1
        except Failed as why:
            text, word = why, "FAILED"
            failed += 1
        print(f"{number:2} {name}: {word}: {text}", flush=True)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed + skipped else 0


sys.exit(main())
