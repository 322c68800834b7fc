#!/usr/bin/env python3
"""deploy/hourbell.yaml without deploying it: cfn-lint finds nothing, the alarms watch metrics that we emit, each function has its
role, its logs and its alarms, and what is generated is what docs/openapi.yaml makes."""
import glob
import os
import re
import subprocess
import sys

from cfnlint.decode import cfn_yaml

from home import ROOT, Wrong, run_tests

PATH = os.path.join(ROOT, "deploy/hourbell.yaml")
RESOURCES = cfn_yaml.load(PATH)["Resources"]


def of_type(kind):
    return {name: found for name, found in RESOURCES.items() if found["Type"] == kind}


def test_cfn_lint_finds_nothing():
    done = subprocess.run([os.path.join(os.path.dirname(sys.executable), "cfn-lint"), "--include-checks", "I", "--regions", "eu-central-1",
                           "us-east-1", "--", PATH], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Wrong(done.stdout + done.stderr)


def test_alarms_watch_metrics_that_are_emitted():
    source = "".join(open(path, encoding="utf-8").read() for path in glob.glob(os.path.join(ROOT, "src/home/*.c")))
    for name, alarm in of_type("AWS::CloudWatch::Alarm").items():
        wanted = alarm["Properties"]
        if wanted["Namespace"] != "hourbell":
            continue
        for text in [wanted["MetricName"]] + [d["Name"] for d in wanted.get("Dimensions", [])] + [d["Value"] for d in wanted.get("Dimensions", [])]:
            if f'"{text}"' not in source:
                raise Wrong(f"{name}: nothing emits {text}")


def test_each_function_has_its_own_role_logs_and_alarms():
    roles = [str(f["Properties"]["Role"]) for f in of_type("AWS::Lambda::Function").values()]
    if len(set(roles)) != 6:
        raise Wrong(f"{roles}")
    for name in of_type("AWS::Lambda::Function"):
        short = name.removesuffix("Fn")
        for other in ("Logs", "Role", "Alias", "Errors", "Throttles", "Version00000000"):
            if short + other not in RESOURCES:
                raise Wrong(f"{short} has no {other}")


def test_rights_for_everything_are_those_that_aws_knows_no_narrower():
    for name, role in of_type("AWS::IAM::Role").items():
        for policy in role["Properties"].get("Policies", []):
            for statement in policy["PolicyDocument"]["Statement"]:
                if statement["Resource"] == "*" and not all(re.match(r"xray:|logs:", a) for a in statement["Action"]):
                    raise Wrong(f"{name}: {statement}")


def test_what_is_generated_is_up_to_date():
    done = subprocess.run([os.path.join(ROOT, "script/generate"), "--check"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Wrong(done.stderr)


if __name__ == "__main__":
    run_tests(globals(), sys.argv[1:])
