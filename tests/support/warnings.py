#!/usr/bin/env python3
"""Lets a compiler look at every source of a configured build, for its warnings, and make no code.

Argument: the build directory. Ends with 1 where a source has warnings that are errors.
"""
import concurrent.futures
import json
import os
import pathlib
import shlex
import subprocess
import sys


def look(entry):
    command = shlex.split(entry["command"])
    # What it would write: the object behind -o and the list of headers behind -MQ and -MF.
    for option, length in (("-o", 2), ("-MQ", 2), ("-MF", 2), ("-MD", 1)):
        if option in command:
            at = command.index(option)
            del command[at : at + length]
    return subprocess.run(
        command + ["-fsyntax-only"],
        cwd=entry["directory"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def make_headers(build):
    """Makes those headers that are made while building, and nothing else."""
    targets = json.loads(
        subprocess.run(
            ["meson", "introspect", "--targets", build], check=True, stdout=subprocess.PIPE
        ).stdout
    )
    headers = [
        os.path.relpath(name, os.path.abspath(build))
        for target in targets
        if target["type"] == "custom"
        for name in target["filename"]
        if name.endswith(".hpp")
    ]
    if headers:
        subprocess.run(["ninja", "-C", build, *headers], check=True, stdout=subprocess.DEVNULL)


def main():
    make_headers(sys.argv[1])
    entries = json.loads(pathlib.Path(sys.argv[1], "compile_commands.json").read_text())
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        looks = list(pool.map(look, entries))
    for one in looks:
        sys.stdout.write(one.stdout)
    print(f"{len(looks)} sources")
    return 1 if any(one.returncode for one in looks) else 0


if __name__ == "__main__":
    sys.exit(main())
