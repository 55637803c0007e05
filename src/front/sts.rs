//! STS, as far as evenkeel asks it: who the credentials are.

use evenkeel_core::failure::Failure;
use evenkeel_sim::Sim;

use crate::answer::STS_NAMESPACE;
use crate::form::{Form, refuse};
use crate::xml::Xml;

/// Answers one request: the body, or what refuses it.
pub(crate) async fn answer(sim: &Sim, name: &str, form: Form, id: &str) -> Result<String, Failure> {
    if name != "GetCallerIdentity" {
        return refuse("InvalidAction", format!("Could not find operation {name} for version 2011-06-15"));
    }
    form.end()?;
    let wire = sim.wire(false);
    let shown = wire.caller(|caller| {
        Xml::document("GetCallerIdentityResponse", STS_NAMESPACE, |x| {
            x.element("GetCallerIdentityResult", |x| {
                x.text("Arn", &caller.arn);
                x.text("UserId", format!("AIDA{:017X}", evenkeel_sim::dice::fingerprint(&caller.arn)));
                x.text("Account", &caller.account);
            });
            x.element("ResponseMetadata", |x| x.text("RequestId", id));
        })
    });
    shown.await
}
