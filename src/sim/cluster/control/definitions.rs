//! Definitions of kinds: served a moment after they are made, and gone with all their objects.

use serde_json::json;

use super::super::kinds::{DEFINITION, is_established};
use super::super::object::{at, finalizers, is_leaving, items, put, text};
use super::super::{Kube, Moment};
use super::{MANAGER, set_condition};
use crate::clock::later;

/// Holds a definition while its objects go.
pub(in super::super) const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

impl Kube {
    pub(super) fn look_after_definitions(&mut self, m: Moment) {
        for name in self.all_of(DEFINITION.0, DEFINITION.1) {
            let Some(definition) = self.get(&name).cloned() else { continue };
            if is_leaving(&definition) {
                let (group, kind) =
                    (text(&definition, &["spec", "group"]), text(&definition, &["spec", "names", "kind"]));
                let all = self.all_of(group, kind);
                for object in &all {
                    self.dismiss(object, m);
                }
                if self.all_of(group, kind).is_empty() && finalizers(&definition).contains(&CLEANUP) {
                    self.release(&name, CLEANUP, m);
                }
                continue;
            }
            if is_established(&definition) {
                continue;
            }
            match self.objects.get(&name).and_then(|o| o.due) {
                None => {
                    let takes =
                        self.timing.establish.draw(m.seed, "establish", text(&definition, &["metadata", "uid"]));
                    self.set_due(&name, Some(later(m.now, takes)));
                }
                Some(due) if due <= m.now => {
                    self.set_due(&name, None);
                    let stored: Vec<&str> = items(&definition, &["spec", "versions"])
                        .iter()
                        .filter(|v| super::super::object::flag(v, &["storage"]))
                        .map(|v| text(v, &["name"]))
                        .collect();
                    self.report(&name, MANAGER, m, |d| {
                        let names = at(d, &["spec", "names"]).cloned().unwrap_or_default();
                        put(d, &["status", "acceptedNames"], names);
                        put(d, &["status", "storedVersions"], json!(stored));
                        let says = "no conflicts found";
                        set_condition(d, m.now, "NamesAccepted", true, "NoConflicts", says);
                        let says = "the initial names have been accepted";
                        set_condition(d, m.now, "Established", true, "InitialNamesAccepted", says);
                    });
                }
                Some(_) => {}
            }
        }
    }
}
