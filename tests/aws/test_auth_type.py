#!/usr/bin/env python3
"""AuthType Iam: callers sign as AWS's own clients do, the gateway judges signature and policy, and a key that is named by the role
says what it may do.

    test_auth_type.py [WORD...]     HOURBELL_BUILT: the folder of bootstrap and hourbell"""
import json
import os
import urllib.error
import urllib.parse
import urllib.request

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from home import ACCOUNT, REGION, ROOT, Wrong, run_tests
from stage import Stage

PORT = int(os.environ.get("RIG_PORT", "19000"))
BUILT = os.environ.get("HOURBELL_BUILT", os.path.join(ROOT, "build/dev"))


def arn(role):
    return f"arn:aws:iam::{ACCOUNT}:role/{role}"


stage = Stage(PORT, BUILT, "signed", AuthType="Iam", OperatorRole=arn("ops"))
home, made_roles = stage.home, {}


def credentials(role, may_invoke=True):
    """What somebody gets who assumes a role that may call the API."""
    if role in made_roles:
        return made_roles[role]
    trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]}
    try:
        home.iam.create_role(RoleName=role, AssumeRolePolicyDocument=json.dumps(trust))
    except home.iam.exceptions.EntityAlreadyExistsException:
        pass  # of an earlier run on this rig
    if may_invoke:
        policy = {"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Action": "execute-api:Invoke", "Resource": f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{home.out['RestApiId']}/*"}]}
        home.iam.put_role_policy(RoleName=role, PolicyName="call", PolicyDocument=json.dumps(policy))
    sts = boto3.client("sts", endpoint_url=home.endpoint, region_name=REGION, aws_access_key_id=ACCOUNT, aws_secret_access_key="root")
    found = sts.assume_role(RoleArn=arn(role), RoleSessionName="test")["Credentials"]
    made_roles[role] = Credentials(found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"])
    return made_roles[role]


def ask(who, method, target, body=None):
    """Status and answer; who: credentials, None = unsigned."""
    request = AWSRequest(method, home.url + target, data=json.dumps(body).encode() if body is not None else None,
                         headers={"content-type": "application/json"})
    if who:
        SigV4Auth(who, "execute-api", REGION).add_auth(request)
    try:
        with urllib.request.urlopen(urllib.request.Request(request.url, request.data, dict(request.headers), method=method)) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        text = error.read().decode()
        return error.code, json.loads(text) if text.startswith("{") else text


def expect(found, status, **members):
    if found[0] != status or any(found[1].get(name) != value for name, value in members.items()):
        raise Wrong(f"{found}, expected {status} {members}")
    return found[1]


def test_who_signs_is_what_the_key_of_the_role_says():
    ops, app, other = credentials("ops"), credentials("acme-app"), credentials("globex-app")
    expect(ask(app, "GET", "/devices"), 401, code="unauthorized")  # a signature is no key
    wanted = {"role": "customer", "owner": "acme", "role_arn": arn("acme-app")}
    made = expect(ask(ops, "POST", "/keys", wanted), 201, id=arn("acme-app"), owner="acme", secrets=[])
    if "credential" in made:
        raise Wrong(f"a role has no secret: {made}")
    expect(ask(ops, "POST", "/keys", wanted), 409, code="wrong_state")
    expect(ask(ops, "POST", "/keys", {**wanted, "owner": "globex", "role_arn": arn("globex-app")}), 201)
    expect(ask(app, "POST", "/create-device", {"device_name": "Pump-7"}), 201, owner="acme")
    expect(ask(app, "POST", "/update-device", {"device_name": "pump-7", "attributes": {"note": "1"}}), 202, by=arn("acme-app"))
    expect(ask(app, "GET", "/devices/Pump-7"), 200, seq=1)
    expect(ask(other, "GET", "/devices/Pump-7"), 404)
    expect(ask(app, "GET", "/keys"), 403)
    key = "/keys/" + urllib.parse.quote(arn("acme-app"), safe="")
    expect(ask(ops, "POST", key + "/rotate"), 409, code="wrong_state")
    expect(ask(ops, "DELETE", key), 200, id=arn("acme-app"))
    expect(ask(app, "GET", "/devices/Pump-7"), 401, code="unauthorized")


def test_without_a_right_or_a_signature_nobody_gets_to_the_core():
    ops = credentials("ops")
    expect(ask(None, "GET", "/devices"), 401, code="unauthorized")
    expect(ask(Credentials(ops.access_key, "x" * 40, ops.token), "GET", "/devices"), 401)
    status = ask(credentials("stranger", may_invoke=False), "GET", "/devices")[0]
    if status not in (401, 403):  # MiniStack refuses it before its gateway has a say; AWS as ACCESS_DENIED
        raise Wrong(f"a role without the right to call was answered with {status}")
    status, _, text = home.ask("GET", "/devices", key=stage.operator)
    expect((status, json.loads(text)), 401, code="unauthorized")  # a key of ours opens nothing here


if __name__ == "__main__":
    import sys
    run_tests(globals(), sys.argv[1:])
