"""The peer of hourbell's `api` in Python with boto3, in a runtime loop of a few lines (kinder than AWS's own client)."""
import http.client
import json
import os

import boto3

TABLE = os.environ["HOURBELL_AWS_TABLE"]
CLIENT = boto3.client("dynamodb")
PREFIX = "/2018-06-01/runtime/invocation/"


def handle(event, request_id):
    body = json.loads(event["body"])
    key = "D#live/" + body["device_name"].lower()
    if "Item" in CLIENT.get_item(TableName=TABLE, ConsistentRead=True, Key={"pk": {"S": key}, "sk": {"S": "DEVICE"}}):
        return {"statusCode": 409, "headers": {}, "body": "{}", "isBase64Encoded": False}
    document = json.dumps(body["attributes"])
    CLIENT.transact_write_items(ClientRequestToken=request_id, TransactItems=[
        {"Put": {"TableName": TABLE, "ConditionExpression": "attribute_not_exists(pk)",
                 "Item": {"pk": {"S": key}, "sk": {"S": sk}, "doc": {"S": document}}}} for sk in ("DEVICE", "L#0000000000")])
    answer = {"device_name": body["device_name"], "desired": body["attributes"], "revision": 1}
    return {"statusCode": 201, "headers": {"content-type": "application/json"}, "body": json.dumps(answer),
            "isBase64Encoded": False}


connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
while True:
    connection.request("GET", PREFIX + "next")
    response = connection.getresponse()
    request_id, event = response.getheader("Lambda-Runtime-Aws-Request-Id"), json.loads(response.read())
    connection.request("POST", PREFIX + request_id + "/response", json.dumps(handle(event, request_id)),
                       {"Content-Type": "application/json"})
    connection.getresponse().read()
