//! What a controller says of a pod that it could not make: one event a set, which counts how often.

use std::time::Duration;

use evenkeel_core::address::ObjectName;
use serde_json::{Value as Json, json};

use super::super::object::{number, put, stamp, text};
use super::super::{Kube, Moment, named};

/// Until a controller tries again to make a pod that was refused.
const AGAIN: Duration = Duration::from_secs(15);

impl Kube {
    /// Makes a pod for a set; whether it could be made. If not, an event says why, and it is tried again.
    pub(super) fn pod_for(&mut self, owner: &ObjectName, set: &Json, pod: Json, m: Moment) -> bool {
        match self.spawn(pod, m) {
            Ok(_) => true,
            Err(refusal) => {
                self.tell_refused(owner, set, &refusal.failure.says, m);
                self.set_due(owner, Some(crate::clock::later(m.now, AGAIN)));
                false
            }
        }
    }

    fn tell_refused(&mut self, owner: &ObjectName, set: &Json, says: &str, m: Moment) {
        let name = named("", "Event", &owner.namespace, &format!("{}.failedcreate", owner.name));
        let message = format!("Error creating: {says}");
        let Some(known) = self.get(&name).cloned() else {
            let _ = self.spawn(
                json!({
                    "apiVersion": "v1",
                    "kind": "Event",
                    "metadata": { "name": name.name, "namespace": name.namespace },
                    "involvedObject": {
                        "apiVersion": text(set, &["apiVersion"]), "kind": owner.kind,
                        "namespace": owner.namespace, "name": owner.name, "uid": text(set, &["metadata", "uid"]),
                    },
                    "reason": "FailedCreate", "message": message, "type": "Warning", "count": 1,
                    "firstTimestamp": stamp(m.now), "lastTimestamp": stamp(m.now),
                }),
                m,
            );
            return;
        };
        // Once a try, or what is written would make everybody look again at once.
        let last: Option<jiff::Timestamp> = text(&known, &["lastTimestamp"]).parse().ok();
        if last.is_none_or(|last| crate::clock::later(last, AGAIN / 2) <= m.now) {
            self.amend(&name, m, |event| {
                put(event, &["message"], message);
                put(event, &["count"], number(&known, &["count"]).unwrap_or(0).saturating_add(1));
                put(event, &["lastTimestamp"], stamp(m.now));
            });
        }
    }
}
