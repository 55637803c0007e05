//! SSM, as far as evenkeel asks it: one public parameter.

use evenkeel_core::failure::Failure;
use evenkeel_sim::Sim;
use serde_json::{Value, json};

use crate::form::refuse;

/// Answers one request: the body, or what refuses it.
pub(crate) async fn answer(sim: &Sim, name: &str, body: &[u8]) -> Result<String, Failure> {
    if name != "GetParameter" {
        return refuse("UnknownOperationException", format!("{name} is not served here"));
    }
    let mut asked = match serde_json::from_slice(body) {
        Ok(Value::Object(asked)) => asked,
        Ok(_) | Err(_) => return refuse("SerializationException", "The body is no JSON object"),
    };
    let Some(Value::String(parameter)) = asked.remove("Name") else {
        return refuse("ValidationException", "Name is missing, or no text");
    };
    // Nothing here is a SecureString, so this changes nothing.
    asked.remove("WithDecryption");
    if let Some(unknown) = asked.keys().next() {
        return refuse("ValidationException", format!("{unknown} is not understood here"));
    }
    let value = sim.wire(false).parameter(&parameter).await?;
    let arn = format!("arn:aws:ssm:::parameter{parameter}");
    Ok(json!({
        "Parameter": {
            "Name": parameter, "Type": "String", "Value": value, "Version": 1, "LastModifiedDate": 1_700_000_000.0,
            "ARN": arn, "DataType": "text",
        }
    })
    .to_string())
}
