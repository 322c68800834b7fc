#!/usr/bin/env python3
""".gitlab-ci.yml: understood by gitlab-ci-local, no job has a stored key, production waits for a person; and the jobs from package to rest run,
as `script/pipeline` runs them all. HOURBELL_BUILT: the programs' folder."""
import os
import subprocess
import sys
import tempfile

import yaml

from home import ROOT, Wrong, make_zip, mapping, run_tests

PORT = int(os.environ.get("RIG_PORT", "19000")) + 20  # a rig of its own
BUILT = os.environ.get("HOURBELL_BUILT", os.path.join(ROOT, "build/dev"))
FOLDER = os.path.join(ROOT, "build/pipeline/test")
with open(os.path.join(ROOT, ".gitlab-ci.yml"), encoding="utf-8") as found:
    FILE = yaml.safe_load(found)


def job(name):
    """A job with what it extends, as GitLab merges it."""
    own = FILE[name]
    return {**(job(own["extends"]) if "extends" in own else {}), **own}


JOBS = {name: job(name) for name in FILE if name not in ("workflow", "stages", "default") and not name.startswith(".")}
ROLLS_OUT = {name for name, found in JOBS.items() if any("release-aws" in line for line in found["script"])}


def pipeline(*words, passes=True):
    done = subprocess.run([os.path.join(ROOT, "script/pipeline"), *words], capture_output=True, text=True, check=False,
                          env={**os.environ, "RIG_PORT": str(PORT), "RIG_FAULTS": "0", "PIPELINE_DIR": FOLDER})
    if passes != (done.returncode == 0):
        raise Wrong(f"{words}: {done.returncode} {done.stdout[-3000:]} {done.stderr[-3000:]}")
    return done.stdout + done.stderr


def test_gitlab_ci_local_understands_every_job():
    said = pipeline("--list")
    missing = [name for name in JOBS if not name.startswith("rotate") and f"\n{name} " not in said]
    if missing:
        raise Wrong(f"{missing}: {said}")


def test_a_need_that_nobody_meets_is_seen():
    with tempfile.TemporaryDirectory() as folder:
        for words in (["init", "-q", "-b", "main"], ["remote", "add", "origin", "https://gitlab.example/group/hourbell.git"]):
            subprocess.run(["git", "-C", folder, *words], check=True)
        with open(os.path.join(ROOT, ".gitlab-ci.yml"), encoding="utf-8") as file:
            text = file.read().replace("needs: [plan-staging]", "needs: [plan-nothing]")
        with open(os.path.join(folder, ".gitlab-ci.yml"), "w", encoding="utf-8") as file:
            file.write(text)
        done = subprocess.run(["bash", "-c", '. script/node; cd "$1"; exec "$node" "$2" --list', "-", folder,
                               os.path.join(ROOT, "build/pipeline/tool/node_modules/gitlab-ci-local/dist/index.js")],
                              cwd=ROOT, capture_output=True, text=True, check=False)
        if not done.returncode or "plan-nothing" not in done.stdout + done.stderr:
            raise Wrong(f"{done.returncode} {done.stdout} {done.stderr}")


def test_who_calls_aws_has_a_token_for_its_job_and_no_stored_key():
    for name in ROLLS_OUT:
        found = JOBS[name]
        if "AWS_ID_TOKEN" not in found.get("id_tokens", {}) or found.get("interruptible") is not False or "environment" not in found:
            raise Wrong(f"{name}: {found}")
    with open(os.path.join(ROOT, ".gitlab-ci.yml"), encoding="utf-8") as file:
        text = file.read()
    if "SECRET" in text or "ACCESS_KEY" in text:
        raise Wrong("a key is named")


def test_production_waits_for_a_person_and_for_every_check():
    for name in ("pilot", "rest", "roll-back"):
        if any(rule.get("when") != "manual" for rule in JOBS[name]["rules"]):
            raise Wrong(f"{name}: {JOBS[name]['rules']}")
    checks = {name for name, found in JOBS.items() if found["stage"] in ("build", "test", "lint")}
    for name in ("package-staging", "package-production"):
        if set(JOBS[name]["needs"]) != checks:
            raise Wrong(f"{name}: {JOBS[name]['needs']}")
    for name in ROLLS_OUT - {name for name in JOBS if name.startswith("package")}:
        if "resource_group" not in JOBS[name]:
            raise Wrong(f"{name}: two pipelines could meet")
    for name in ROLLS_OUT:  # and nothing but the default branch gets there
        if not all("$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH" in rule["if"] for rule in JOBS[name]["rules"]):
            raise Wrong(f"{name}: {JOBS[name]['rules']}")


def test_keys_rotate_by_schedule_and_nothing_else_runs_then():
    for name, found in JOBS.items():
        rules = " ".join(rule.get("if", "") for rule in found["rules"])
        if name.startswith("rotate") != ('== "schedule" && $TASK == "rotate-plan-keys"' in rules):
            raise Wrong(f"{name}: {rules}")


def test_the_jobs_from_package_to_rest_run():
    os.makedirs(os.path.join(FOLDER, "hourbell/build/lambda"), exist_ok=True)
    with open(os.path.join(FOLDER, "hourbell/build/lambda/hourbell-x86_64.zip"), "wb") as file:
        file.write(make_zip(os.path.join(BUILT, "bootstrap"), mapping("http://127.0.0.1:1")))
    said = pipeline("package-staging", "package-production", "plan-staging", "plan-production", "staging", "pilot", "rest")
    for line in ("staging is a stack in account", "its plan keys lie in SSM", "production is 4 stacks in 2 accounts and 2 regions"):
        if line not in said:
            raise Wrong(said[-3000:])


if __name__ == "__main__":
    run_tests(globals(), sys.argv[1:])
