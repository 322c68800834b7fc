#!/usr/bin/env python3
"""The AWS home on this machine, for `make run-aws`: deploys it on the MiniStack that runs, then plays the schedule.

    local.py BOOTSTRAP-OR-ZIP SAP-URL WINDOW DATA-FOLDER     writes operator.key, and url once everything is there"""
import os
import re
import secrets
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from home import ROOT, Home, Wrong, make_zip, mapping

sys.path.insert(0, os.path.join(ROOT, "tests"))
from e2e_scenarios import make_credential  # noqa: E402 # pylint: disable=wrong-import-position


def span_s(text):
    number, unit = re.fullmatch(r"(\d+)(s|min|h|)", text).groups()
    return int(number) * {"h": 3600, "min": 60}.get(unit, 1)


def play_schedule(home, window_s):
    """At each boundary what EventBridge and Step Functions do: the run by its hour, or for shorter windows passes alone."""
    done = int(time.time() // window_s)
    pool = ThreadPoolExecutor(4)
    while True:
        time.sleep(1)
        now = time.time()
        slot = int(now // window_s)
        try:
            if window_s >= 3600 and slot != done:
                home.invoke("Tick", {"scheduled_time": time.strftime("%Y-%m-%dT%H:00:00Z", time.gmtime(now))})
            elif window_s < 3600 and int(now) % min(window_s, 15) == 1:
                list(pool.map(lambda shard: home.invoke("Plan", {
                    "run": "local", "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)), "span_s": 15, "shard": shard}), range(16)))
        except Wrong as error:
            print(error, file=sys.stderr, flush=True)
        done = slot


def main():
    program, sap_url, window, folder = sys.argv[1:]
    os.umask(0o077)
    path = os.path.join(folder, "url")
    if os.path.exists(path):
        os.unlink(path)
    operator = make_credential(secrets.token_hex(20))
    with open(os.path.join(folder, "operator.key"), "w", encoding="ascii") as file:
        file.write(operator + "\n")
    home = Home(int(os.environ["RIG_PORT"]))
    home.put_secrets({"operator_key": operator})
    if program.endswith(".zip"):
        with open(program, "rb") as file:
            archive = file.read()
    else:
        archive = make_zip(program, mapping(sap_url))
    home.deploy(archive, Window=window)
    with open(path + ".new", "w", encoding="ascii") as file:
        file.write(home.url + "\n")
    os.rename(path + ".new", path)
    play_schedule(home, span_s(window))


if __name__ == "__main__":
    main()
