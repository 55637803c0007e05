//! STS, as far as evenkeel asks it: who the credentials are, and those of a role.

use evenkeel_core::failure::{Class, Failure};
use evenkeel_sim::Sim;
use evenkeel_sim::dice::fingerprint;

use crate::answer::STS_NAMESPACE;
use crate::form::{Form, refuse};
use crate::roles::{Role, Session};
use crate::sign::Signed;
use crate::xml::{Xml, seconds};

/// Answers one request of `session`, or of the account's own user: the body, or what refuses it.
pub(crate) async fn answer(
    sim: &Sim,
    name: &str,
    form: Form,
    id: &str,
    (signed, session): (&Signed, Option<Session>),
) -> Result<String, Failure> {
    match name {
        "GetCallerIdentity" => identity(sim, form, id, session).await,
        "AssumeRole" => assume(sim, form, id, (signed, session)).await,
        _ => refuse("InvalidAction", format!("Could not find operation {name} for version 2011-06-15")),
    }
}

async fn identity(sim: &Sim, form: Form, id: &str, session: Option<Session>) -> Result<String, Failure> {
    form.end()?;
    let wire = sim.wire(false);
    let shown = wire.caller(|caller| {
        let own = || (caller.arn.clone(), format!("AIDA{:017X}", fingerprint(&caller.arn)));
        let (arn, user) = session.as_ref().map_or_else(own, |session| (session.arn(), session.user()));
        Xml::document("GetCallerIdentityResponse", STS_NAMESPACE, |x| {
            x.element("GetCallerIdentityResult", |x| {
                x.text("Arn", arn);
                x.text("UserId", user);
                x.text("Account", &caller.account);
            });
            x.element("ResponseMetadata", |x| x.text("RequestId", id));
        })
    });
    shown.await
}

/// Any role of the world's own account may be assumed, for as long as STS lets one be.
async fn assume(
    sim: &Sim,
    mut form: Form,
    id: &str,
    (signed, session): (&Signed, Option<Session>),
) -> Result<String, Failure> {
    let (arn, name) = (form.need("RoleArn")?, form.need("RoleSessionName")?);
    let lasts: i64 = form.parsed("DurationSeconds")?.unwrap_or(3600);
    form.end()?;
    let Some(role) = Role::parse(&arn) else {
        return refuse("ValidationError", format!("{arn} is invalid"));
    };
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
    if !(2..=64).contains(&name.len()) || !name.chars().all(allowed) {
        return refuse("ValidationError", format!("Value '{name}' at 'roleSessionName' failed to satisfy constraint"));
    }
    if !(900..=43_200).contains(&lasts) {
        return refuse("ValidationError", format!("Value '{lasts}' at 'durationSeconds' failed to satisfy constraint"));
    }
    let caller = sim.wire(false).assumed().await?;
    if role.account != caller.account {
        let who = session.map_or(caller.arn, |session| session.arn());
        let says = format!("User: {who} is not authorized to perform: sts:AssumeRole on resource: {arn}");
        return Err(Failure::new(Class::Denied, "AccessDenied", says));
    }
    let session = Session { role, name, until: signed.at + jiff::SignedDuration::from_secs(lasts) };
    let token = session.token();
    Ok(Xml::document("AssumeRoleResponse", STS_NAMESPACE, |x| {
        x.element("AssumeRoleResult", |x| {
            x.element("Credentials", |x| {
                x.text("AccessKeyId", Session::key(&token));
                x.text("SecretAccessKey", format!("{:040x}", fingerprint(&token)));
                x.text("SessionToken", &token);
                x.text("Expiration", seconds(session.until));
            });
            x.element("AssumedRoleUser", |x| {
                x.text("AssumedRoleId", session.user());
                x.text("Arn", session.arn());
            });
        });
        x.element("ResponseMetadata", |x| x.text("RequestId", id));
    }))
}
