// The peer of hourbell's `api` in bench/lambda: see Cargo.toml.
use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem};
use aws_sdk_dynamodb::Client;
use lambda_runtime::{service_fn, Error, LambdaEvent};
use serde_json::{json, Value};

fn put(table: &str, key: &str, sk: &str, document: &str) -> TransactWriteItem {
    let put = Put::builder()
        .table_name(table)
        .item("pk", AttributeValue::S(key.to_string()))
        .item("sk", AttributeValue::S(sk.to_string()))
        .item("doc", AttributeValue::S(document.to_string()))
        .condition_expression("attribute_not_exists(pk)")
        .build()
        .expect("complete");
    TransactWriteItem::builder().put(put).build()
}

async fn handle(client: &Client, table: &str, event: LambdaEvent<Value>) -> Result<Value, Error> {
    let body: Value = serde_json::from_str(event.payload["body"].as_str().unwrap_or("null"))?;
    let name = body["device_name"].as_str().ok_or("device_name is missing")?;
    let document = body["attributes"].to_string();
    let key = format!("D#live/{}", name.to_lowercase());
    let found = client
        .get_item()
        .table_name(table)
        .consistent_read(true)
        .key("pk", AttributeValue::S(key.clone()))
        .key("sk", AttributeValue::S("DEVICE".to_string()))
        .send()
        .await?;
    if found.item.is_some() {
        return Ok(json!({"statusCode": 409, "headers": {}, "body": "{}", "isBase64Encoded": false}));
    }
    client
        .transact_write_items()
        .client_request_token(&event.context.request_id)
        .transact_items(put(table, &key, "DEVICE", &document))
        .transact_items(put(table, &key, "L#0000000000", &document))
        .send()
        .await?;
    let answer = json!({"device_name": name, "desired": body["attributes"], "revision": 1});
    Ok(json!({"statusCode": 201, "headers": {"content-type": "application/json"}, "body": answer.to_string(),
              "isBase64Encoded": false}))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let config = aws_config::load_defaults(aws_config::BehaviorVersion::latest()).await;
    let (client, table) = (Client::new(&config), std::env::var("HOURBELL_AWS_TABLE")?);
    lambda_runtime::run(service_fn(|event| handle(&client, &table, event))).await
}
