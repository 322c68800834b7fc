"""What is rolled out where: deploy/environments.yaml, checked; and AWS's clients for it."""
import functools
import os
import sys

import boto3
import botocore.config
import botocore.exceptions
import yaml

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
KEYS = {"template", "region", "stack", "role", "stack_set", "pilot", "accounts", "regions", "parameters", "overrides", "code_prefix"}
WAIT_S = float(os.environ.get("RELEASE_WAIT_S", "10"))  # between two looks at something that goes on


class Refused(Exception):
    """What a person has to mend: said in one line, exit status 1."""


def say(*words):
    print(*words, file=sys.stderr, flush=True)


def asks(error, *codes):
    """Is it this answer of AWS's?"""
    return isinstance(error, botocore.exceptions.ClientError) and error.response["Error"]["Code"] in codes


class Environment:
    """One environment of the file. One of stack, stack_set is set."""

    def __init__(self, name, found, top):
        strange = set(found) - KEYS
        if strange:
            raise Refused(f"{name}: unknown {', '.join(sorted(strange))}")
        if ("stack" in found) == ("stack_set" in found):
            raise Refused(f"{name}: it has a stack, or a stack_set")
        self.name = name
        self.prefix, self.code_prefix = top["name"], found.get("code_prefix", top["code_prefix"])
        self.architecture = top.get("architecture", "arm64")
        self.template = os.path.join(ROOT, "deploy", found.get("template", "hourbell.yaml"))
        self.region = found["region"]
        self.stack, self.role, self.stack_set = found.get("stack"), found.get("role"), found.get("stack_set")
        self.pilot = [str(a) for a in found.get("pilot", [])]
        self.accounts = [str(a) for a in found.get("accounts", [])]
        self.regions = found.get("regions", [self.region])
        self.parameters = {k: str(v) for k, v in (found.get("parameters") or {}).items()}
        self.overrides = found.get("overrides", {})
        if self.stack_set and not self.pilot:
            raise Refused(f"{name}: a stack set has a pilot account")
        if set(self.pilot) & set(self.accounts):
            raise Refused(f"{name}: the pilot is not among the accounts")

    def client(self, service, region=None):
        return client(service, region or self.region)

    def bucket(self, region=None):
        return f"{self.code_prefix}-{region or self.region}"

    @functools.cache
    def account(self):
        """The account that we are in, and its partition."""
        arn = self.client("sts").get_caller_identity()["Arn"].split(":")
        return arn[4], arn[1]

    def in_account(self, account):
        """How to get clients of an account: by its role for the pipeline, docs/deploy.md."""
        if self.stack and not self.role:
            return client  # a stack without CloudFormation's service role: we are who may do all that
        _, partition = self.account()
        answer = self.client("sts").assume_role(
            RoleArn=f"arn:{partition}:iam::{account}:role/{self.prefix}-release", RoleSessionName=f"{self.prefix}-release")["Credentials"]
        session = boto3.Session(answer["AccessKeyId"], answer["SecretAccessKey"], answer["SessionToken"])
        return lambda service, region: client(service, region, session)

    def overrides_of(self, account, region):
        return {k: str(v) for k, v in self.overrides.get(f"{account}/{region}", {}).items()}


class Loader(yaml.SafeLoader):
    """CloudFormation's short forms are not looked at."""


Loader.add_multi_constructor("!", lambda loader, suffix, node: None)


def filled(template, name, given):
    """The values of all parameters of a template: what is given, else the default. So nothing stays as it happened to be."""
    values = {}
    for key, found in (yaml.load(template, Loader).get("Parameters") or {}).items():
        if key not in given and "Default" not in found:
            raise Refused(f"{name}: parameter {key} needs a value")
        values[key] = str(given.get(key, found.get("Default")))
    if set(given) - set(values):
        raise Refused(f"{name}: the template has no parameter {', '.join(sorted(set(given) - set(values)))}")
    return values


def client(service, region, session=boto3):
    options = botocore.config.Config(retries={"mode": "standard", "max_attempts": 5}, s3={"addressing_style": "path"})
    return session.client(service, region_name=region, config=options)


def environments(path):
    with open(path, encoding="utf-8") as file:
        top = yaml.safe_load(file)
    for key in ("name", "code_prefix", "environments"):
        if not top.get(key):
            raise Refused(f"{path}: it has no {key}")
    return {name: Environment(name, found, top) for name, found in top["environments"].items()}
