"""What the tests of the roll-out share: the pipeline's account on MiniStack, several accounts on moto, and how to look into them."""
import base64
import json
import os

import boto3

from home import ACCOUNT, REGION, ROOT, Home

PORT = int(os.environ.get("RIG_PORT", "19000"))
MINISTACK, ACCOUNTS = f"http://127.0.0.1:{PORT}", f"http://127.0.0.1:{PORT + 4}"
REGIONS, PILOT, OTHER = [REGION, "eu-west-1"], "222222222222", "333333333333"
PLACES = {(account, region) for account in (PILOT, OTHER) for region in REGIONS}
CODE = "test-code"
HOST, SUBJECT = "gitlab.example", "project_path:group/hourbell:ref_type:branch:ref:main"
PIPELINE_ROLE = f"arn:aws:iam::{ACCOUNT}:role/hourbell-pipeline"
BOUNDARY = "hourbell-boundary"


def client(service, endpoint=MINISTACK, region=REGION):
    return boto3.client(service, endpoint_url=endpoint, region_name=region, aws_access_key_id=ACCOUNT, aws_secret_access_key="root")


def make_buckets(endpoint):
    for region in REGIONS:
        try:
            client("s3", endpoint, region).create_bucket(Bucket=f"{CODE}-{region}", CreateBucketConfiguration={"LocationConstraint": region})
        except Exception as error:  # pylint: disable=broad-except # that it is there is fine
            if "BucketAlready" not in str(error):
                raise


def make_roles(secrets_prefix):
    """The two templates of roles, as they are, in the pipeline's account."""
    given = {"stackset-admin": {"CodePrefix": CODE, "GitlabHost": HOST, "GitlabSubject": SUBJECT,
                                "GitlabProvider": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{HOST}"},  # MiniStack makes none
             "stackset-execution": {"CodePrefix": CODE, "AdministratorAccount": ACCOUNT, "SecretsPrefix": secrets_prefix}}
    for name, parameters in given.items():
        roles = Home(PORT, name)
        roles.delete()
        with open(os.path.join(ROOT, f"deploy/{name}.yaml"), encoding="utf-8") as file:
            roles.cfn.create_stack(StackName=name, TemplateBody=file.read(), Capabilities=["CAPABILITY_NAMED_IAM"],
                                   Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()])
        roles.cfn.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 1})


def token(subject):
    """GitLab's token as far as MiniStack reads it: it evaluates the role's trust, not the signature."""
    def part(found):
        return base64.urlsafe_b64encode(json.dumps(found).encode()).decode().rstrip("=")
    claims = {"iss": f"https://{HOST}", "aud": f"https://{HOST}", "sub": subject, "exp": 4102444800}
    return f"{part({'alg': 'RS256'})}.{part(claims)}.c2ln"


def in_account(service, account, region):
    found = client("sts", ACCOUNTS).assume_role(RoleArn=f"arn:aws:iam::{account}:role/hourbell-release", RoleSessionName="test")["Credentials"]
    return boto3.client(service, endpoint_url=ACCOUNTS, region_name=region, aws_access_key_id=found["AccessKeyId"],
                        aws_secret_access_key=found["SecretAccessKey"], aws_session_token=found["SessionToken"])


def instances(name):
    """{(account, region): (status, stack name)} of a stack set."""
    found = client("cloudformation", ACCOUNTS).list_stack_instances(StackSetName=name)["Summaries"]
    return {(i["Account"], i["Region"]): (i["Status"], i["StackId"].split("/")[1]) for i in found}
