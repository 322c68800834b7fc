#!/usr/bin/env python3
"""The first deployment of docs/aws.md, by the commands as they stand there. On a rig of its own, in a copy of the
tree whose programs and libraries are the ones that are built here. HOURBELL_BUILT: the programs' folder."""
import os
import re
import shutil
import subprocess
import sys
import tempfile

from home import ROOT, Wrong, make_zip, mapping, run_tests

PORT = int(os.environ.get("RIG_PORT", "19000")) + 30
BUILT = os.environ.get("HOURBELL_BUILT", os.path.join(ROOT, "build/dev"))


def test_the_first_deployment_as_it_stands_in_the_docs():
    with open(os.path.join(ROOT, "docs/aws.md"), encoding="utf-8") as file:
        block = re.search(r"## First deployment\n.*?```sh\n(.*?)```", file.read(), re.S)[1]
    # already done here, and slow: the zip and the release program
    done = ("script/lambda x86_64", "MODE=release make")
    if not all(f"\n{line}" in f"\n{block}" for line in done):
        raise Wrong("the page builds otherwise: mend this test")
    block = "".join(line for line in block.splitlines(True) if not line.startswith(done))
    with tempfile.TemporaryDirectory(prefix="hourbell-docs-") as folder:
        for name in ("deploy", "script", "tests", "downstream.json", "docs"):
            source = os.path.join(ROOT, name)
            (shutil.copytree if os.path.isdir(source) else shutil.copy)(source, os.path.join(folder, name))
        for name in ("release", "lambda"):
            os.makedirs(os.path.join(folder, "build", name))
        subprocess.run([os.path.join(ROOT, "script/release-aws"), "--help"], check=True, stdout=subprocess.DEVNULL)
        for name in ("rig", "deps", "release/py"):
            os.symlink(os.path.realpath(os.path.join(ROOT, "build", name)), os.path.join(folder, "build", name))
        os.symlink(os.path.realpath(os.path.join(BUILT, "hourbell")), os.path.join(folder, "build/release/hourbell"))
        with open(os.path.join(folder, "build/lambda/hourbell-x86_64.zip"), "wb") as file:
            file.write(make_zip(os.path.join(BUILT, "bootstrap"), mapping("http://127.0.0.1:1")))
        environment = {n: v for n, v in os.environ.items() if not n.startswith(("AWS_", "HOURBELL_", "RIG_"))}
        environment.update(RIG_PORT=str(PORT), RIG_DIR=os.path.realpath(os.path.join(ROOT, "build/rig")), RELEASE_WAIT_S="1")
        run = subprocess.run(["bash", "-ec", block], cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        subprocess.run(["tests/aws/rig", "down"], cwd=folder, env=environment, check=False)
        if run.returncode or '"AssetRoom":"B2"' not in run.stdout or "hourbell-first: CREATE_COMPLETE" not in run.stderr:
            raise Wrong(f"{run.returncode} {run.stdout[-1500:]} {run.stderr[-3000:]}")


if __name__ == "__main__":
    run_tests(globals(), sys.argv[1:])
