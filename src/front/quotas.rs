//! Service Quotas, as far as evenkeel asks it: one limit of EC2's.

use evenkeel_core::failure::Failure;
use evenkeel_sim::Sim;
use serde_json::{Value, json};

use crate::form::refuse;

/// Answers one request: the body, or what refuses it.
pub(crate) async fn answer(sim: &Sim, name: &str, body: &[u8]) -> Result<String, Failure> {
    if name != "GetServiceQuota" {
        return refuse("UnknownOperationException", format!("{name} is not served here"));
    }
    let mut asked = match serde_json::from_slice(body) {
        Ok(Value::Object(asked)) => asked,
        Ok(_) | Err(_) => return refuse("SerializationException", "The body is no JSON object"),
    };
    let (service, quota) = (asked.remove("ServiceCode"), asked.remove("QuotaCode"));
    let (Some(Value::String(service)), Some(Value::String(quota))) = (service, quota) else {
        return refuse("IllegalArgumentException", "ServiceCode or QuotaCode is missing, or no text");
    };
    if let Some(unknown) = asked.keys().next() {
        return refuse("IllegalArgumentException", format!("{unknown} is not understood here"));
    }
    if service != "ec2" {
        return refuse("NoSuchResourceException", format!("The service {service} has no quotas here"));
    }
    let value = sim.wire(false).quota(&quota).await?;
    Ok(json!({
        "Quota": {
            "ServiceCode": service, "ServiceName": "Amazon Elastic Compute Cloud (Amazon EC2)", "QuotaCode": quota,
            "QuotaName": "vCPUs", "Value": value, "Unit": "None", "Adjustable": true, "GlobalQuota": false,
        }
    })
    .to_string())
}
