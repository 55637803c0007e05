//! What the server itself makes of an object that is new or may differ: dry-run applies, which write nothing.

use evenkeel_core::address::ObjectName;
use evenkeel_core::applyset::{self, MANAGER};
use evenkeel_core::desired::ObjectWish;
use evenkeel_core::digest::Digest;
use evenkeel_core::failure::{Class, Failure};
use evenkeel_core::objects::anew::{has_no_dry_run, is_barred};
use evenkeel_core::objects::order::loses;
use evenkeel_core::objects::{compare, immutable, redact};
use evenkeel_core::observed::{Live, Trial};
use futures::{StreamExt, stream};
use serde_json::Value as Json;

use crate::api::{ClusterRead, How, Refusal, Resource};
use crate::limits::{AT_ONCE, TRIED};
use crate::read::{Asked, Found, KubernetesEyes, in_place, which};
use crate::wire::asking;

impl<C: ClusterRead + ?Sized> KubernetesEyes<C> {
    /// The server's own word on what is new or may differ.
    pub(crate) async fn tried(&self, asked: &[Asked<'_>], found: &mut Found) {
        let doubtful = |a: &&Asked<'_>| {
            let live = found.seen.objects.get(&a.object);
            let differs = live.is_none_or(|live| may_differ(a, live, &found.stack));
            a.is_served() && found.is_seen(&a.object) && differs
        };
        let doubtful: Vec<&Asked<'_>> = asked.iter().filter(doubtful).collect();
        let trials: Vec<_> = doubtful.iter().map(|a| self.rehearse(a.wish, a.object.clone(), &a.resource)).collect();
        let answers: Vec<_> = stream::iter(trials).buffered(AT_ONCE).collect().await;
        let mut fixed = Vec::new();
        for (a, answer) in doubtful.into_iter().zip(answers) {
            let live = found.seen.objects.get(&a.object);
            let Some(trial) = trial(answer, live.is_some(), &found.stack) else { continue };
            if let (Some(live), Trial::Refused(_, causes)) = (live, &trial)
                && !immutable::refused(causes).is_empty()
                && loses(&live.body).is_none()
            {
                fixed.push(a);
            }
            found.seen.trials.insert(a.object.clone(), trial);
        }
        // It would be deleted and made anew: first it must be known that the server takes the new one.
        let anew: Vec<_> = fixed.iter().map(|a| self.rehearse(a.wish, tried_as(&a.object), &a.resource)).collect();
        let answers: Vec<_> = stream::iter(anew).buffered(AT_ONCE).collect().await;
        for (a, answer) in fixed.into_iter().zip(answers) {
            let Err(Refusal { failure, causes }) = answer else { continue };
            let causes: Vec<_> = causes.into_iter().map(|c| (c.field, c.message)).collect();
            if is_barred(&a.object.name, &tried_as(&a.object).name, &failure, &causes) {
                found.seen.barred.insert(a.object.clone(), (failure, causes));
            }
        }
    }

    async fn rehearse(&self, wish: &ObjectWish, object: ObjectName, resource: &Resource) -> Result<Json, Refusal> {
        let which = which(resource, &object);
        // What is taken by force is known from the managed fields; here the question is what the server makes of it.
        let how = How { manager: MANAGER.into(), force: true };
        let mut body = in_place(wish.body.json(), &object);
        if let Some(metadata) = body.get_mut("metadata").and_then(Json::as_object_mut) {
            metadata.insert("name".into(), object.name.into());
        }
        asking(self.caller(), "dry-run", || self.cluster().rehearse(&which, &body, &how)).await
    }
}

/// A name that is free, and as good as the object's own.
fn tried_as(object: &ObjectName) -> ObjectName {
    let digest = Digest::of(object.to_string().as_bytes());
    ObjectName { name: format!("evenkeel-tries-{}", digest.prefix(TRIED).to_lowercase()), ..object.clone() }
}

fn may_differ(asked: &Asked<'_>, live: &Live, stack: &str) -> bool {
    let wish = redact::redacted(in_place(asked.wish.body.json(), &asked.object), stack);
    let known = compare::Known { manager: MANAGER, moved: applyset::moved(&wish, &live.body) };
    compare::compare_knowing(&wish, &live.body, known).may_differ()
}

/// Whether a new object's namespace or definition is not there. Other things can be missing too (the role of a binding),
/// of which the server's own words say more.
fn lacks_ground(failure: &Failure) -> bool {
    let says = |words: &str| failure.says.contains(words);
    failure.class == Class::NotFound && (says("namespaces \"") || says("could not find the requested resource"))
}

/// What the answer says of the object; `None`: nothing.
fn trial(answer: Result<Json, Refusal>, there: bool, stack: &str) -> Option<Trial> {
    match answer {
        Ok(body) => Some(Trial::Becomes(redact::redacted(body, stack))),
        Err(refusal) if has_no_dry_run(&refusal.failure) => None,
        Err(refusal) if !there && lacks_ground(&refusal.failure) => Some(Trial::TooEarly),
        Err(Refusal { failure, causes }) => {
            Some(Trial::Refused(failure, causes.into_iter().map(|c| (c.field, c.message)).collect()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_namespace_or_a_definition_that_is_missing_makes_it_too_early() {
        for (class, says, is) in [
            (Class::NotFound, "namespaces \"shop\" not found", true),
            (Class::NotFound, "the server could not find the requested resource", true),
            (Class::NotFound, "roles.rbac.authorization.k8s.io \"reader\" not found", false),
            (Class::Invalid, "namespaces \"shop\" not found", false),
        ] {
            assert_eq!(lacks_ground(&Failure::new(class, "", says)), is, "{says}");
        }
        let refusal = || Refusal::from(Failure::new(Class::NotFound, "", "roles \"reader\" not found"));
        assert!(matches!(trial(Err(refusal()), false, "s"), Some(Trial::Refused(..))), "told in the server's words");
        let hook = "admission webhook \"a\" does not support dry run";
        let hook = Refusal::from(Failure::new(Class::Invalid, "BadRequest", hook));
        assert_eq!(trial(Err(hook), false, "s"), None, "it is not the object that is refused");
    }
}
