#!/usr/bin/env python3
"""Each optional part of deploy/hourbell.yaml, deployed: what its parameter promises, and what the template refuses.

    test_parameters.py [WORD...]     HOURBELL_BUILT: the folder of bootstrap"""
import json
import os
import sys

import botocore.exceptions

from home import ROOT, Home, Wrong, expect, make_zip, mapping, run_tests, wait_for

sys.path.insert(0, os.path.join(ROOT, "tests"))
from e2e_scenarios import make_credential  # noqa: E402 # pylint: disable=wrong-import-position

PORT = int(os.environ.get("RIG_PORT", "19000"))
BUILT = os.environ.get("HOURBELL_BUILT", os.path.join(ROOT, "build/dev"))
OPERATOR = make_credential("operator")
ARCHIVE = make_zip(os.path.join(BUILT, "bootstrap"), mapping("http://127.0.0.1:9"))
CERTIFICATE = "arn:aws:acm:eu-central-1:123456789012:certificate/11111111-1111-1111-1111-111111111111"
ORIGIN = "https://console.example.com"


def deployed(name, **parameters):
    home = Home(PORT, name)
    home.put_secrets({"operator_key": OPERATOR}, f"/{name}")
    return home.deploy(ARCHIVE, SecretsPrefix=f"/{name}", **parameters)


def refused(text, **parameters):
    """The template itself says why, before anything is made."""
    try:
        deployed("refused", **parameters)
    except botocore.exceptions.ClientError as error:
        if text not in str(error):
            raise
        return
    raise Wrong(f"{parameters} was taken")


def test_pages_of_the_console_may_call_and_no_others():
    home = deployed("console", ConsoleOrigin=ORIGIN)
    for target in ("/", "/create-device", "/update-device", "/devices/Pump-7"):
        status, headers, text = home.ask("OPTIONS", target)
        expect((status, text, headers.get("access-control-allow-origin")), (204, "", ORIGIN), target)
        if "if-match" not in headers["access-control-allow-headers"] or "DELETE" not in headers["access-control-allow-methods"]:
            raise Wrong(str(headers))
    for key, wanted in ((None, 401), (OPERATOR, 200)):  # the gateway's answer, and the function's
        status, headers, _ = home.ask("GET", "/devices", key=key)
        expect((status, headers.get("access-control-allow-origin")), (wanted, ORIGIN))
    refused("ConsoleOrigin", ConsoleOrigin="http://console.example.com")


def test_without_a_console_no_page_may_call():
    home = deployed("plain")
    expect(home.ask("OPTIONS", "/devices")[0], 401, "a preflight")
    for key in (None, OPERATOR):
        headers = home.ask("GET", "/devices", key=key)[1]
        expect([name for name in headers if name.startswith("access-control")], [], "headers")
    for kind in ("get_domain_names", "get_usage_plans", "get_api_keys"):
        found = [one for one in getattr(home.gateway, kind)()["items"] if "plain" in json.dumps(one, default=str)]
        expect(found, [], kind)


def test_a_name_of_ones_own():
    home = Home(PORT, "named")
    zone = home.dns.create_hosted_zone(Name="example.com", CallerReference="named")["HostedZone"]["Id"].rpartition("/")[2]
    home = deployed("named", DomainName="hb.example.com", CertificateArn=CERTIFICATE, HostedZoneId=zone)
    expect(home.out["Url"], "https://hb.example.com")
    record, = [r for r in home.dns.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"] if r["Type"] == "A"]
    expect((record["Name"], record["AliasTarget"]["DNSName"].rstrip(".")), ("hb.example.com.", home.out["DomainTarget"]))
    mapped, = home.gateway.get_base_path_mappings(domainName="hb.example.com")["items"]
    expect((mapped["restApiId"], mapped["stage"]), (home.out["RestApiId"], "v1"))
    refused("needs CertificateArn", DomainName="hb.example.com")
    refused("no domain name", DomainName="hb.example.com", CertificateArn=CERTIFICATE, VpcEndpointIds="vpce-0123456789abcdef0")


def test_a_private_api_lets_in_its_endpoints_alone():
    ends = ["vpce-0123456789abcdef0", "vpce-1123456789abcdef0"]
    home = deployed("private", VpcEndpointIds=",".join(ends))
    policy = home.gateway.get_rest_api(restApiId=home.out["RestApiId"])["policy"]
    allow, deny = json.loads(policy.replace('\\"', '"'))["Statement"]
    expect((allow["Effect"], deny["Effect"]), ("Allow", "Deny"))
    expect(deny["Condition"], {"StringNotEquals": {"aws:SourceVpce": ends}})


def test_functions_in_a_vpc_may_make_their_interfaces():
    home = Home(PORT, "inside")
    subnets = ",".join(s["SubnetId"] for s in home.ec2.describe_subnets()["Subnets"][:2])
    group = home.ec2.describe_security_groups()["SecurityGroups"][0]["GroupId"]
    refused("needs VpcSecurityGroupIds", VpcSubnetIds=subnets)
    inside, outside = deployed("inside", VpcSubnetIds=subnets, VpcSecurityGroupIds=group), deployed("outside")
    expect(inside.ask("GET", "/devices", key=OPERATOR)[0], 200)
    for one, wanted in ((inside, True), (outside, False)):
        for short in ("Api", "Authorizer", "Tick", "Plan", "Deliver", "Report"):
            role = one.lam.get_function_configuration(FunctionName=one.function(short))["Role"].rpartition("/")[2]
            policy = one.iam.get_role_policy(RoleName=role, PolicyName=short.lower())["PolicyDocument"]
            expect("ec2:CreateNetworkInterface" in json.dumps(policy), wanted, f"{short} of {one.name}")


def test_operators_are_told_by_mail():
    home = deployed("mailed", OperatorsEmail="ops@example.com")
    found, = home.sns.list_subscriptions_by_topic(TopicArn=home.out["OperatorsTopicArn"])["Subscriptions"]
    expect((found["Protocol"], found["Endpoint"]), ("email", "ops@example.com"))


def keys_of(home):
    return {name: value for name, value in home.out.items() if name.startswith("PlanKey")}


def in_plan(home, role):
    plan, = [p["id"] for p in home.gateway.get_usage_plans()["items"] if p["name"] == f"{home.name}-{role}"]
    return {key["id"] for key in home.gateway.get_usage_plan_keys(usagePlanId=plan)["items"]}


def test_plan_keys_are_rotated_in_steps_and_come_back_as_new_ones():
    home = deployed("rotated", Metering="yes")
    seen = [keys_of(home)]
    for generation in ("AB", "B", "AB", "A"):
        home.update(ARCHIVE, PlanKeys=generation)
        found = keys_of(home)
        expect(set(found), {f"PlanKey{role}{slot}" for role in ("Customer", "Operator") for slot in generation}, generation)
        for role in ("Customer", "Operator"):
            expect(in_plan(home, role.lower()), {found[f"PlanKey{role}{slot}"] for slot in generation}, f"{role} of {generation}")
        seen.append(found)
    expect(seen[1]["PlanKeyCustomerA"], seen[0]["PlanKeyCustomerA"], "the old key, while both exist")
    if seen[-1]["PlanKeyCustomerA"] == seen[0]["PlanKeyCustomerA"]:
        raise Wrong("the same key again")


def test_a_quota_belongs_to_its_plan():
    """That it is kept is AWS's; MiniStack wants the plan key from the client, whom the authorizer then refuses (docs/aws.md)."""
    home = deployed("metered", Metering="yes", CustomerQuota=3, CustomerRate=7)
    plans = {p["name"]: p for p in home.gateway.get_usage_plans()["items"] if p["name"].startswith("metered-")}
    expect(plans["metered-customer"]["quota"], {"limit": 3, "period": "DAY"})
    expect(plans["metered-customer"]["throttle"], {"rateLimit": 7.0, "burstLimit": 7})
    expect(plans["metered-operator"].get("quota") or {}, {})


def test_what_comes_too_fast_is_told_so():
    home = deployed("throttled", ThrottleRate=1, ThrottleBurst=1)
    def over_the_rate():
        answer = home.ask("GET", "/devices", key=OPERATOR)
        return answer if answer[0] != 200 else None
    status, headers, text = wait_for("a refusal", over_the_rate, 30, 0.01)
    problem = json.loads(text)
    expect((status, problem["code"], headers["retry-after"], headers["content-type"]), (429, "rate_limited", "1", "application/problem+json"))


def test_the_console_is_served_from_a_closed_bucket():
    home = Home(PORT, "page")
    with open(os.path.join(ROOT, "deploy/console.yaml"), encoding="utf-8") as file:
        template = file.read()
    zone = home.dns.create_hosted_zone(Name="example.com", CallerReference="page")["HostedZone"]["Id"].rpartition("/")[2]
    values = {"ApiUrl": "https://hb.example.com", "DomainName": "console.example.com", "HostedZoneId": zone,
              "CertificateArn": CERTIFICATE.replace("eu-central-1", "us-east-1")}
    home.delete()
    home.cfn.create_stack(StackName="page", TemplateBody=template,
                          Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in values.items()])
    found = home.wait_for_stack("CREATE_COMPLETE")
    expect(found["Origin"], ORIGIN)
    expect(set(home.s3.get_public_access_block(Bucket=found["FilesBucket"])["PublicAccessBlockConfiguration"].values()), {True})
    records = {r["Type"] for r in home.dns.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"] if r["Name"].startswith("console")}
    expect(records, {"A", "AAAA"})


if __name__ == "__main__":
    run_tests(globals(), sys.argv[1:])
