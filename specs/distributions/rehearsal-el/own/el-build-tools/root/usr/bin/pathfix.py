#!/usr/bin/python3
"""Gives Python programs another interpreter: pathfix.py -i INTERPRETER [-p] [-n] PATH..."""

import argparse
import os

parser = argparse.ArgumentParser()
parser.add_argument("-i", dest="interpreter", required=True)
parser.add_argument("-p", dest="keep_times", action="store_true")
parser.add_argument("-n", dest="no_backup", action="store_true")
parser.add_argument("paths", nargs="+")
arguments = parser.parse_args()


def fix(path):
    with open(path, "rb") as file:
        first = file.readline()
        rest = file.read()
    if not first.startswith(b"#!") or b"python" not in first:
        return
    times = os.stat(path)
    with open(path, "wb") as file:
        file.write(b"#!" + arguments.interpreter.encode() + b"\n" + rest)
    if arguments.keep_times:
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


for top in arguments.paths:
    if os.path.isfile(top):
        fix(top)
    for folder, _, names in os.walk(top):
        for name in names:
            path = os.path.join(folder, name)
            if name.endswith(".py") and not os.path.islink(path):
                fix(path)
