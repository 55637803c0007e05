//! Whose a live object is: this stack's, another stack's or set's, or a tool's that reverts what we do.

use serde_json::Value as Json;

use super::Place;
use crate::address::Group;
use crate::address::Kind;
use crate::applyset;
use crate::make::Draft;
use crate::objects::managed::Managed;
use crate::objects::path::Path;

/// Bears our label and our field manager: controllers copy labels, nobody copies a manager.
pub fn is_ours(body: &Json, stack: &str) -> bool {
    applyset::label(body, applyset::STACK) == Some(stack) && applyset::is_applied(body)
}

/// The group that declared it, by its own mark.
pub fn group_of(body: &Json) -> Group {
    let marked = applyset::annotation(body, applyset::ADDRESS).and_then(|a| a.parse::<Group>().ok());
    let lost = || Group { kind: Kind::Manifests, name: "removed".into() };
    marked.filter(|g| g.kind.is_kubernetes()).unwrap_or_else(lost)
}

impl Place<'_> {
    /// Who else manages an object, if anybody does: another stack, another set, or a tool that reverts what we do.
    pub(super) fn other_owner(&self, draft: &Draft<'_>, body: &Json) -> Option<String> {
        let stack = draft.key();
        if let Some(other) = applyset::label(body, applyset::STACK).filter(|id| *id != stack) {
            return Some(format!("the evenkeel stack {other}"));
        }
        if draft.ask.intent.force {
            return None;
        }
        if applyset::label(body, applyset::STACK).is_none()
            && let Some(set) = applyset::label(body, applyset::PART_OF).filter(|set| !self.is_own_set(stack, set))
        {
            return Some(format!("the ApplySet {set}"));
        }
        tool(body, is_ours(body, stack))
    }

    /// Whether this is the set of this stack's own mark, where it stands or where it stood.
    fn is_own_set(&self, stack: &str, set: &str) -> bool {
        let former = self.seen.former.iter().map(|parent| parent.namespace.as_str());
        former.chain([self.cluster.namespace()]).any(|namespace| applyset::set_id(stack, namespace) == set)
    }
}

/// The tool whose marks an object bears. A chart's templates bear Helm's label, whoever applies them: of one that is
/// ours, only a mark that somebody else has written counts.
fn tool(body: &Json, ours: bool) -> Option<String> {
    let managed = Managed::of(body);
    let theirs = |table: &str, key: &str| {
        let path = Path::of(["metadata", table, key]);
        !ours || managed.others(applyset::MANAGER).any(|e| e.paths.holds(&path))
    };
    let label = |key: &str| applyset::label(body, key).filter(|_| theirs("labels", key));
    let annotation = |key: &str| applyset::annotation(body, key).filter(|_| theirs("annotations", key));
    let named = |tool: &str, what: Option<&str>| what.map(|w| format!("{tool} ({w})"));
    let release = annotation("meta.helm.sh/release-name").or((!ours).then_some("a release"));
    let helms = applyset::label(body, "app.kubernetes.io/managed-by") == Some("Helm");
    named("Helm", release.filter(|_| helms))
        .or_else(|| {
            let instance = || label("argocd.argoproj.io/instance");
            named("Argo CD", annotation("argocd.argoproj.io/tracking-id").or_else(instance))
        })
        .or_else(|| named("Flux", label("kustomize.toolkit.fluxcd.io/name")))
        .or_else(|| named("Flux", label("helm.toolkit.fluxcd.io/name")))
}
