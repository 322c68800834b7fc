"""Roll hourbell out to AWS accounts. The story: docs/deploy.md. The order of a release: package (the zip into all its regions), plan (look at
it), apply (a stack; or of a stack set --pilot and later --rest). A rollback is the release before, with its template and its zip."""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import zipfile

import botocore.exceptions

import plan_keys
import smoke as smoke_checks
import stack
import stack_set
import store
from environment import ROOT, Refused, environments, filled, say

OUT = os.path.join(ROOT, "build/release")


def check_zip(path):
    """Nothing that tests the template notices a program that may not run."""
    with zipfile.ZipFile(path) as archive:
        found = {info.filename: info.external_attr >> 16 & 0o777 for info in archive.infolist()}
    if found.get("bootstrap") != 0o755 or "downstream.json" not in found:
        raise Refused(f"{path} is not what make lambda builds: {found}")


def zip_path(options, environment):
    return options.zip or os.path.join(ROOT, f"build/lambda/hourbell-{environment.architecture}.zip")


def package(options, environment):
    """The zip into the code bucket of every region of an environment."""
    path = zip_path(options, environment)
    check_zip(path)
    with open(path, "rb") as file:
        data = file.read()
    say(f"{path} sha256 {store.sha256(data)}")
    for region in sorted({environment.region, *environment.regions}):
        store.put(environment.client("s3", region), environment.bucket(region), ".zip", data)


def stamped(path, parameters):
    """deploy/hourbell.yaml as it is deployed: what is a snapshot is named by what it is made of."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(parameters, file)
        file.flush()
        return subprocess.run([os.path.join(ROOT, "script/stamp"), path, file.name], check=True, stdout=subprocess.PIPE).stdout


def release_of(environment, path):
    """What is to be rolled out: a template in S3, all its parameters but PlanKeys, the commit."""
    parameters = dict(environment.parameters)
    with open(environment.template, "rb") as file:
        text = file.read()
    is_product = os.path.basename(environment.template) == "hourbell.yaml"
    if is_product:
        check_zip(path)
        with open(path, "rb") as file:
            code = store.sha256(file.read())
        parameters.update(CodeBucket=environment.bucket(), CodeKey=f"{code}.zip", Architecture=environment.architecture)
    parameters = filled(text, environment.name, parameters)
    parameters.pop("PlanKeys", None)
    commit = os.environ.get("CI_COMMIT_SHA") or subprocess.run(
        ["git", "-C", ROOT, "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    if is_product:
        text = stamped(path, parameters)
    key = store.put(environment.client("s3"), environment.bucket(), ".yaml", text)
    return {"environment": environment.name, "template": key, "parameters": parameters, "commit": commit or "-"}


def with_slots(environment, release):
    """PlanKeys belongs to the rotation, not to a release: it stays as it is out there."""
    now = plan_keys.parameters_now(environment)
    return {**release, "parameters": {**release["parameters"], **({"PlanKeys": now["PlanKeys"]} if "PlanKeys" in now else {})}}


def record_path(environment, suffix):
    os.makedirs(OUT, exist_ok=True)
    return os.path.join(OUT, f"{environment.name}.{suffix}")


def plan(options, environment):
    """What would change, as text and as a file for apply; with a stack also as a change set."""
    release = release_of(environment, zip_path(options, environment))
    if environment.stack:
        release["change_set"], lines = stack.plan(environment, with_slots(environment, release))
    else:
        lines = stack_set.plan(environment, with_slots(environment, release))
    with open(record_path(environment, "json"), "w", encoding="utf-8") as file:
        json.dump(release, file, indent=1)
    with open(record_path(environment, "txt"), "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    print("\n".join(lines))


def out(environment, release, accounts):
    """A release to its place: a stack by its change set, a stack set in these accounts."""
    if environment.stack:
        if release["change_set"]:
            stack.execute(environment, release["change_set"])
    else:
        stack_set.roll_out(environment, with_slots(environment, release), accounts)
    slots = plan_keys.slots(environment)
    if slots in ("A", "B"):
        plan_keys.put(environment, slots)


def apply(options, environment):
    """What was planned."""
    try:
        with open(record_path(environment, "json"), encoding="utf-8") as file:
            release = json.load(file)
    except FileNotFoundError as error:
        raise Refused(f"{environment.name} has no plan: script/release-aws plan {environment.name}") from error
    if environment.stack_set and not (options.pilot or options.rest):
        raise Refused(f"{environment.name} is a stack set: --pilot, and when that is well, --rest")
    if options.rest:
        stack_set.check_pilot(environment, with_slots(environment, release))
    out(environment, release, environment.pilot if options.pilot else environment.accounts)
    if environment.stack or options.rest or not environment.accounts:
        key = store.write_record(environment, release)
        say(f"{environment.name} is out; {key}")


def roll_back(options, environment):
    """The release before, at once: its template from S3, its zip is still there."""
    def is_out(release):
        return environment.stack or stack_set.is_out(environment, stack_set.described(environment), release)
    release = store.previous(environment, options.to, is_out)
    release.pop("at", None)
    say(f"{environment.name}: back to {release['commit']}, {release['template']}")
    if environment.stack:
        release["change_set"], lines = stack.plan(environment, with_slots(environment, release))
        print("\n".join(lines))
        out(environment, release, [])
    else:
        out(environment, release, environment.pilot)
        out(environment, release, environment.accounts)
    say(f"{environment.name} is out; {store.write_record(environment, release)}")


def releases(_, environment):
    """What was rolled out, oldest first."""
    for key in store.records(environment):
        release = json.loads(store.text(environment, key))
        print(key.rsplit("/", 1)[-1].removesuffix(".json"), release["commit"][:12], release["template"][:12], release["parameters"].get("CodeKey", "-")[:12])


def rotate(_, environment):
    """New plan keys, in three steps; goes on where it broke off."""
    plan_keys.rotate(environment)


def smoke(options, environment):
    """What no rig can show, looked at in an account; nothing is sent to SAP."""
    with open(options.operator_key, encoding="utf-8") as file:
        key = file.read().strip()
    if not smoke_checks.smoke(environment, key, options.url, options.without):
        sys.exit(1)


def main():
    parser = argparse.ArgumentParser(prog="script/release-aws", description=__doc__)
    parser.add_argument("--environments", metavar="FILE", default=os.environ.get("RELEASE_ENVIRONMENTS", os.path.join(ROOT, "deploy/environments.yaml")))
    commands = parser.add_subparsers(dest="command", required=True)

    def command(run, **more):
        found = commands.add_parser(run.__name__.replace("_", "-"), help=run.__doc__, description=run.__doc__, **more)
        found.set_defaults(run=run)
        return found
    for run in (package, plan, apply, releases, roll_back, rotate, smoke):
        found = command(run)
        found.add_argument("environment")
        if run in (package, plan):
            found.add_argument("--zip", help="as make lambda built it; else build/lambda/hourbell-ARCHITECTURE.zip")
        if run is apply:
            which = found.add_mutually_exclusive_group()
            which.add_argument("--pilot", action="store_true", help="a stack set: the pilot accounts")
            which.add_argument("--rest", action="store_true", help="a stack set: the others, if the pilot is well")
        if run is roll_back:
            found.add_argument("--to", metavar="RELEASE", help="one that `releases` lists")
        if run is smoke:
            found.add_argument("--operator-key", metavar="FILE", required=True, help="an operator's <id>.<secret>")
            found.add_argument("--url", help="another than the stack's own, as a name of your own")
            found.add_argument("--without", nargs="*", default=[], metavar="CHECK")
    options = parser.parse_args()
    try:
        found = environments(options.environments)
        if options.environment not in found:
            raise Refused(f"there is no environment {options.environment}: {', '.join(found)}")
        options.run(options, found[options.environment])
    except (Refused, botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError, subprocess.CalledProcessError) as error:
        sys.exit(f"release-aws: {error}")


main()
