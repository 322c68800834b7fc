#!/usr/bin/env python3
"""The templates that stand around deploy/hourbell.yaml: what an account needs before it (baseline, stack sets), without deploying them.
What CloudFormation may do is held against AWS's own resource schemas, which say what each type's handlers call (cfn-lint carries them)."""
import fnmatch
import functools
import glob
import json
import os
import sys

import cfnlint
from cfnlint.decode import cfn_yaml

from home import ROOT, Wrong, run_tests

SCHEMAS = os.path.join(os.path.dirname(cfnlint.__file__), "data/schemas/resources")


def template(name):
    return cfn_yaml.load(os.path.join(ROOT, f"deploy/{name}.yaml"))["Resources"]


STACKS = ("hourbell", "baseline", "console")
TYPES = {found["Type"] for name in STACKS for found in template(name).values()}
ADMIN, EXECUTION = template("stackset-admin"), template("stackset-execution")

# What handlers would call for properties that our templates do not have: not granted.
UNUSED = {
    "*kinesis*": "no stream of the table", "*Kinesis*": "no stream of the table", "*Contributor*": "no insights",
    "dynamodb:*TableReplica": "one region", "dynamodb:*Import*": "an import", "dynamodb:BatchWriteItem": "an import", "dynamodb:*tem": "an import",
    "dynamodb:Query": "an import", "dynamodb:Scan": "an import", "dynamodb:PutResourcePolicy": "no policy on the table",
    "dynamodb:DeleteResourcePolicy": "no policy on the table", "kms:*": "keys of AWS", "s3files:*": "no file system",
    "elasticfilesystem:*": "no file system", "lambda:PassCapacityProvider": "no instances of our own", "lambda:GetLayerVersion": "no layers",
    "lambda:*CodeSigningConfig": "code is named by its hash", "lambda:AssociateRuntimeAlias": "AWS's runtimes",
    "lambda:PutRuntimeManagementConfig": "updates as they come", "lambda:PutFunctionScalingConfig": "none set",
    "lambda:*FunctionConcurrency": "none reserved", "logs:*KmsKey": "keys of AWS", "logs:Put*Policy": "retention alone",
    "logs:Delete*Policy": "retention alone", "logs:*LogDelivery": "the state machine's role", "logs:*ResourcePolicies": "the state machine's role",
    "logs:PutBearerTokenAuthentication": "none", "logs:PutLogGroupDeletionProtection": "none", "logs:CreateLogStream": "the functions' roles",
    "logs:PutLogEvents": "the functions' roles", "logs:DescribeLogStreams": "the functions' roles", "firehose:*": "none",
    "s3:REST.PUT.OBJECT": "a schema's slip", "s3:GetObjectMetadata": "an import", "s3tables:*": "none", "s3:*Metadata*": "none",
    "s3:*Analytics*": "none", "s3:*Replication*": "none", "s3:*Inventory*": "none", "s3:*IntelligentTiering*": "none",
    "s3:PutMetricsConfiguration": "none", "s3:DeleteBucket?*": "what was set goes with the bucket", "s3:PutAccelerateConfiguration": "none",
    "s3:*ObjectLock*": "none", "s3:PutObjectAcl": "no ACLs", "s3:DeleteObject": "buckets are kept", "s3:*Abac": "none",
    "sns:PutDataProtectionPolicy": "none", "codedeploy:RegisterOnPremisesInstance": "Lambda", "cloudfront:*ConnectionGroup": "no tenants",
    "cloudfront:GetVpcOrigin": "no VPC origin", "cloudfront:*StagingConfig": "no staging", "cloudfront:CreateDistributionWithTags": "CreateDistribution's old name",
    "iam:DeleteRolePermissionsBoundary": "the boundary stays", "iam:CreateServiceLinkedRole": "AWS has made it",
}
# Granted beside the schemas: by what else. (A type's `list` handler is not called for a stack.)
BESIDE = {"lambda:ListTags": "tags of a mapping", "cloudformation:*": "stack sets", "sns:Publish": "stack sets", "ec2:*": "functions in a VPC",
          "iam:UpdateAssumeRolePolicy": "a trust that changes", "logs:DescribeLogGroups": "reading"}


@functools.cache
def needed():
    found = {}
    for path in glob.glob(os.path.join(SCHEMAS, "*.json")):
        with open(path, encoding="utf-8") as file:
            schema = json.load(file)
        if schema.get("typeName") in TYPES:
            for verb, handler in schema["handlers"].items():
                if verb != "list":
                    for action in handler.get("permissions", []):
                        found.setdefault(action, set()).add(schema["typeName"])
    return found


def listed(found):
    return found if isinstance(found, list) else [found]


def policies(role):
    """All statements of a role of stackset-execution.yaml: its own, and those of the managed policies that it names."""
    properties = EXECUTION[role]["Properties"]
    documents = [p["PolicyDocument"] for p in properties.get("Policies", [])]
    documents += [EXECUTION[ref["Ref"]]["Properties"]["PolicyDocument"] for ref in properties.get("ManagedPolicyArns", [])]
    return [statement for document in documents for statement in document["Statement"]]


def granted(role):
    return {action for s in policies(role) if s["Effect"] == "Allow" for action in listed(s["Action"])}


def matches(action, patterns):
    return any(fnmatch.fnmatchcase(action, pattern) for pattern in patterns)


def test_cloudformation_may_do_what_the_types_of_our_templates_need():
    for role in ("ExecutionRole", "ServiceRole"):
        grants = granted(role)
        missing = {a: sorted(t) for a, t in needed().items() if not matches(a, UNUSED) and not matches(a, grants)}
        if missing:
            raise Wrong(f"{role}: {missing}")


def test_and_nothing_that_none_of_them_needs():
    wanted = needed()
    for role in ("ExecutionRole", "ServiceRole"):
        more = [g for g in granted(role) if not matches(g, BESIDE) and not any(fnmatch.fnmatchcase(a, g) for a in wanted)]
        if more:
            raise Wrong(f"{role}: no type needs {sorted(more)}")


def test_what_is_said_to_be_unused_is_asked_by_some_type():
    wanted = needed()
    stale = [pattern for pattern in UNUSED if not any(fnmatch.fnmatchcase(a, pattern) for a in wanted)]
    if stale:
        raise Wrong(f"{stale}")


def test_no_role_is_an_administrator():
    """Rights on everything are for reading, or bound by a condition; and no service is granted whole but cloudformation, on our names."""
    reading = ("Describe", "List", "Get", "Validate", "Filter")
    for role in ("ExecutionRole", "ServiceRole", "ReleaseRole"):
        for s in policies(role):
            if s["Effect"] != "Allow":
                continue
            for action in listed(s["Action"]):
                whole = action.split(":")[1] == "*"
                if whole and (action != "cloudformation:*" or "*" in listed(s["Resource"])):
                    raise Wrong(f"{role}: {action}")
                if "*" in listed(s["Resource"]) and "Condition" not in s and not action.split(":")[1].startswith(reading):
                    raise Wrong(f"{role}: {action} on everything")


def test_roles_are_made_only_inside_the_boundary_and_not_our_own():
    changes = {"iam:CreateRole", "iam:PutRolePolicy", "iam:AttachRolePolicy", "iam:PutRolePermissionsBoundary"}
    bound, denied = set(), []
    for s in policies("ExecutionRole"):
        actions = set(listed(s.get("Action", [])))
        if s["Effect"] == "Allow" and actions & changes:
            if s.get("Condition") != {"StringEquals": {"iam:PermissionsBoundary": {"Ref": "Boundary"}}}:
                raise Wrong(f"{actions & changes} without the boundary")
            bound |= actions & changes
        if s["Effect"] == "Deny":
            denied += [str(r) for r in s["Resource"]]
    if bound != changes:
        raise Wrong(f"{changes - bound} are nowhere")
    for name in ("stackset-execution", "stackset-administration", "cloudformation", "pipeline", "release"):
        if not any(f"role/${{Name}}-{name}'" in r or f'role/${{Name}}-{name}"' in r for r in denied):
            raise Wrong(f"{name} may be changed by what it made")
    for name in STACKS:
        for logical, role in template(name).items():
            if role["Type"] == "AWS::IAM::Role" and "PermissionsBoundary" not in role["Properties"]:
                raise Wrong(f"{name}.yaml: {logical} could not be made, it has no PermissionsBoundary")


def test_the_boundary_holds_all_that_the_roles_of_the_stack_may():
    inside = {a for s in EXECUTION["Boundary"]["Properties"]["PolicyDocument"]["Statement"] for a in listed(s["Action"])}
    for name in STACKS:
        for logical, role in template(name).items():
            for policy in role["Properties"].get("Policies", []) if role["Type"] == "AWS::IAM::Role" else []:
                for statement in policy["PolicyDocument"]["Statement"]:
                    if "Fn::If" in statement:
                        statement = statement["Fn::If"][1]
                    for action in listed(statement["Action"]):
                        if not matches(action.rstrip("*"), inside):
                            raise Wrong(f"{logical} of {name}.yaml may {action}, but the boundary does not let it")


def test_each_policy_is_short_enough_for_iam():
    for name, found in {**ADMIN, **EXECUTION}.items():
        if found["Type"] == "AWS::IAM::ManagedPolicy":  # 6,144 characters without blanks; a name is at most 60 longer than ${...}
            size = len("".join(json.dumps(found["Properties"]["PolicyDocument"]).split()))
            if size > 6144:
                raise Wrong(f"{name} has {size} characters")


def test_who_is_trusted_is_one_role_one_service_or_one_ref():
    for name, role in {**ADMIN, **EXECUTION}.items():
        if role["Type"] != "AWS::IAM::Role":
            continue
        trust = role["Properties"]["AssumeRolePolicyDocument"]
        if "Fn::Sub" in trust:  # as text: GitLab's tokens
            text = trust["Fn::Sub"][0]
            if not all(part in text for part in ('"StringEquals"', '${GitlabHost}:aud"', '${GitlabHost}:sub"')) or "StringLike" in text:
                raise Wrong(f"{name}: {text}")
            json.loads(text)
            continue
        for s in trust["Statement"]:
            if "Service" in s["Principal"] and "aws:SourceAccount" not in str(s.get("Condition")):
                raise Wrong(f"{name} trusts {s['Principal']} whoever it asks for")
            if "AWS" in s["Principal"] and ":role/" not in str(s["Principal"]):
                raise Wrong(f"{name} trusts {s['Principal']}")


if __name__ == "__main__":
    run_tests(globals(), sys.argv[1:])
