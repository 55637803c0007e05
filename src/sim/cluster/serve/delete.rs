//! Deleting: preconditions, finalizers, propagation.

use evenkeel_core::address::ObjectName;
use evenkeel_kubernetes::api::{Deletion, Propagation, Refusal, Which};
use jiff::Timestamp;
use serde_json::Value as Json;

use super::super::control::CLEANUP;
use super::super::kinds::DEFINITION;
use super::super::object::{finalizers, is_leaving, number, put, set_finalizer, stamp, text};
use super::super::refuse::{conflict, forbidden, not_found};
use super::super::{Kube, Moment};
use crate::clock::later;

/// Stays until all that the object owns is gone.
const FOREGROUND: &str = "foregroundDeletion";

/// A deletion without a request: by a hand or a controller.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Asked {
    pub(in super::super) foreground: bool,
}

impl Kube {
    /// Deletes one object, or marks it as leaving.
    pub(crate) fn delete(&mut self, which: &Which, how: &Deletion, m: Moment) -> Result<(), Refusal> {
        let name = self.resolve(which)?;
        let live = self.get(&name).ok_or_else(|| not_found(self, &name))?;
        let uid = text(live, &["metadata", "uid"]);
        if !how.uid.is_empty() && how.uid != uid {
            let says = format!("Precondition failed: UID in precondition: {}, UID in object meta: {uid}", how.uid);
            return Err(conflict(self, &name, &says));
        }
        if name.api.is_empty() && name.kind == "Namespace" && matches!(name.name.as_str(), "default" | "kube-system") {
            return Err(forbidden(self, &name, "this namespace may not be deleted"));
        }
        self.leave(&name, Asked { foreground: how.propagation == Propagation::Foreground }, m);
        Ok(())
    }

    /// An object begins to leave; it is gone at once where nothing holds it.
    pub(in super::super) fn leave(&mut self, name: &ObjectName, asked: Asked, m: Moment) {
        let Some(mut object) = self.get(name).cloned() else { return };
        let pod = name.api.is_empty() && name.kind == "Pod";
        let namespace = name.api.is_empty() && name.kind == "Namespace";
        if asked.foreground && !is_leaving(&object) && !namespace {
            set_finalizer(&mut object, FOREGROUND, true);
        }
        if (name.api.as_str(), name.kind.as_str()) == DEFINITION && !is_leaving(&object) {
            set_finalizer(&mut object, CLEANUP, true);
        }
        let grace = if pod { number(&object, &["spec", "terminationGracePeriodSeconds"]).unwrap_or(30) } else { 0 };
        let unscheduled = pod && text(&object, &["spec", "nodeName"]).is_empty();
        let stays = !finalizers(&object).is_empty() || namespace || (pod && !unscheduled);
        if !stays {
            self.objects.remove(name);
            self.next_revision();
            self.stir(m);
            return;
        }
        if is_leaving(&object) {
            return;
        }
        put(&mut object, &["metadata", "deletionTimestamp"], stamp(later_by(m.now, grace)));
        if pod || !namespace {
            put(&mut object, &["metadata", "deletionGracePeriodSeconds"], grace);
        }
        if namespace {
            put(&mut object, &["status", "phase"], "Terminating");
        }
        self.store(name, &mut object, m);
        if pod {
            let most = self.timing.end.draw(m.seed, "end", text(&object, &["metadata", "uid"]));
            let most = most.min(std::time::Duration::from_secs(grace.unsigned_abs()));
            let ends = later(m.now, most);
            if let Some(kept) = self.objects.get_mut(name) {
                kept.due = Some(ends);
            }
            self.wake_at(ends);
        }
    }

    /// Whether something holds what only its owners' deletion holds.
    pub(in super::super) fn is_foreground(object: &Json) -> bool {
        finalizers(object).contains(&FOREGROUND)
    }

    /// Takes a finalizer away, with which the object may be gone.
    pub(in super::super) fn release(&mut self, name: &ObjectName, finalizer: &str, m: Moment) {
        let Some(mut object) = self.get(name).cloned() else { return };
        if finalizers(&object).contains(&finalizer) {
            set_finalizer(&mut object, finalizer, false);
            self.store(name, &mut object, m);
        }
    }

    /// The owners' deletion is done with this object.
    pub(in super::super) fn release_foreground(&mut self, name: &ObjectName, m: Moment) {
        self.release(name, FOREGROUND, m);
    }
}

fn later_by(at: Timestamp, seconds: i64) -> Timestamp {
    later(at, std::time::Duration::from_secs(seconds.unsigned_abs()))
}
