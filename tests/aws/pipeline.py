#!/usr/bin/env python3
"""pipeline.py prepare|look FOLDER [JOB...], for script/pipeline. prepare: what an owner of accounts sets up once, and GitLab's variables of
the project. look: is what the pipeline rolled out there?"""
import json
import os
import sys

import yaml

from home import ACCOUNT, REGION, ROOT, Home, Wrong
from rollout import (ACCOUNTS, BOUNDARY, CODE, MINISTACK, OTHER, PILOT, PIPELINE_ROLE, PLACES, PORT, REGIONS, SUBJECT, instances, make_buckets,
                     make_roles, token)


def prepare(folder):
    make_buckets(MINISTACK)
    make_buckets(ACCOUNTS)
    make_roles("/hourbell/staging")
    with open(os.path.join(ROOT, "deploy/environments.yaml"), encoding="utf-8") as file:
        found = yaml.safe_load(file)
    found.update(code_prefix=CODE, architecture="x86_64")  # MiniStack runs what this machine can
    staging, production = found["environments"]["staging"], found["environments"]["production"]
    staging["parameters"].update(Canary="no", PermissionsBoundary=BOUNDARY)
    production.update(pilot=[PILOT], accounts=[OTHER], regions=REGIONS, parameters={"Canary": "no", "Metering": "no"})
    with open(os.path.join(folder, "environments.yaml"), "w", encoding="utf-8") as file:
        yaml.safe_dump(found, file)
    variables = {
        "RELEASE_ENVIRONMENTS": os.path.join(folder, "environments.yaml"), "RELEASE_WAIT_S": "0.2", "ROTATE_WAIT_S": "0",
        "AWS_ROLE_ARN": PIPELINE_ROLE, "AWS_ID_TOKEN": token(SUBJECT), "AWS_REGION": REGION, "RIG_PORT": str(PORT + 40),
        "AWS_ENDPOINT_URL": {"*": MINISTACK, "production": ACCOUNTS}}
    with open(os.path.join(folder, "hourbell/variables.yml"), "w", encoding="utf-8") as file:
        json.dump({name: {"type": "variable", "values": value if isinstance(value, dict) else {"*": value}}
                   for name, value in variables.items()}, file, indent=1)  # JSON is YAML


def look(folder, wanted):
    """wanted: of the jobs that ran, those that roll out."""
    if "staging" in wanted:
        home = Home(PORT, "hourbell-staging")
        home.wait_for_stack("CREATE_COMPLETE")
        status, _, _ = home.ask("GET", "/devices")
        if status not in (401, 403, 500):
            raise Wrong(f"staging answers {status}")
        for role in ("customer", "operator"):
            home.ssm.get_parameter(Name=f"/hourbell/staging/plan_key/{role}")
        print(f"pipeline: staging is a stack in account {ACCOUNT}, its plan keys lie in SSM")
    if "rest" in wanted:
        found = instances("hourbell")
        if set(found) != PLACES or {status for status, _ in found.values()} != {"CURRENT"}:
            raise Wrong(f"production: {found}")
        print(f"pipeline: production is {len(found)} stacks in {len({a for a, _ in found})} accounts and {len({r for _, r in found})} regions")
    for target in [{"rest": "production"}.get(name, name) for name in wanted if name in ("staging", "rest")]:
        with open(os.path.join(folder, f"hourbell/build/release/{target}.txt"), encoding="utf-8") as file:
            print(f"pipeline: the plan of {target}: {file.readline().strip()}")


if __name__ == "__main__":
    {"prepare": lambda folder, *_: prepare(folder), "look": lambda folder, *jobs: look(folder, jobs)}[sys.argv[1]](*sys.argv[2:])
