"""What a release leaves in S3, in the code bucket of each region that it needs: zips and templates by their sha256, so nothing is ever
overwritten; and a record of each release that was rolled out, so that the one before can be rolled out again."""
import base64
import hashlib
import json
import time

from environment import Refused, asks, say


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def put(s3, bucket, suffix, data):
    """data under its own hash: the key. What is there already is not sent again."""
    digest = hashlib.sha256(data).digest()
    key = f"{digest.hex()}{suffix}"
    try:
        s3.head_object(Bucket=bucket, Key=key)
        say(f"  {bucket}/{key} is there")
    except s3.exceptions.ClientError as error:
        if not asks(error, "404", "NoSuchKey", "NotFound"):
            raise
        s3.put_object(Bucket=bucket, Key=key, Body=data, ChecksumSHA256=base64.b64encode(digest).decode())
        say(f"  {bucket}/{key} sent, {len(data)} bytes")
    return key


def url(region, partition, bucket, key):
    """As CloudFormation wants it, wherever our own calls go."""
    suffix = "amazonaws.com.cn" if partition == "aws-cn" else "amazonaws.com"
    return f"https://s3.{region}.{suffix}/{bucket}/{key}"


def text(environment, key):
    """An object of the environment's own code bucket."""
    return environment.client("s3").get_object(Bucket=environment.bucket(), Key=key)["Body"].read().decode()


def write_record(environment, release):
    at = time.strftime("%Y-%m-%dT%H-%M-%SZ", time.gmtime())
    key = f"releases/{environment.name}/{at}.json"
    environment.client("s3").put_object(Bucket=environment.bucket(), Key=key, Body=json.dumps({**release, "at": at}, indent=1).encode())
    return key


def records(environment):
    """The keys of all releases that were rolled out, oldest first: they are named by their time."""
    pages = environment.client("s3").get_paginator("list_objects_v2").paginate(
        Bucket=environment.bucket(), Prefix=f"releases/{environment.name}/")
    return sorted(found["Key"] for page in pages for found in page.get("Contents", []))


def content(release):
    """What makes two releases the same."""
    return release["template"], release["parameters"]


def previous(environment, wanted, is_out):
    """Where back is: the release that is wanted, by its key or its time; else the newest one, if a later one was begun and not ended; else
    the newest with another content than the one that is out."""
    keys = records(environment)
    if wanted:
        keys = [key for key in keys if wanted in (key, key.rsplit("/", 1)[-1].removesuffix(".json"))]
        if not keys:
            raise Refused(f"{environment.name} has no release {wanted}")
        return json.loads(text(environment, keys[-1]))
    newest = None
    for key in reversed(keys):
        release = json.loads(text(environment, key))
        newest = newest or release
        if content(release) != content(newest) or not is_out(newest):
            return release
    raise Refused(f"{environment.name} has no release before this one")
