//! The question before an apply: which stack, where, in whose account, and what it comes to.
//!
//! Only the words stand here; whether to ask at all (never without a terminal, never with `CI` set) and what counts as
//! yes is the caller's matter.

use evenkeel_core::address::Kind;
use evenkeel_core::desired::is_cluster;
use evenkeel_core::plan::{Action, Plan};

use crate::escape::escape;
use crate::totals::Totals;
use crate::words::count;

/// `Apply to shop in us-east-1, account 123456789012: 1 to add, …? [y/N] `. The account in full: this is the moment
/// to compare it.
pub fn apply(plan: &Plan) -> String {
    format!("Apply to {}: {}? [y/N] ", place(plan), Totals::of(plan).short())
}

/// What is destroyed, and the stack's name that has to be typed: nobody types it by habit.
pub fn destroy(plan: &Plan) -> String {
    let n = |kind: Kind, action: Action| {
        plan.changes.iter().filter(|c| c.address.group.kind == kind && c.action == action).count() as u64
    };
    let machines = n(Kind::Machines, Action::Delete);
    let volumes = n(Kind::Volumes, Action::Delete);
    let kept = n(Kind::Volumes, Action::Quarantine);
    let parts = [(machines, "machine", "machines"), (volumes, "volume", "volumes")];
    let parts = parts.into_iter().filter(|(n, ..)| *n > 0).map(|(n, one, many)| count(n, one, many));
    let goes = parts.collect::<Vec<_>>().join(" and ");
    let goes = if goes.is_empty() { "nothing at once".to_owned() } else { goes };
    let kept = if kept > 0 {
        let are = if kept == 1 { "goes" } else { "go" };
        format!(" {} {are} into quarantine.", count(kept, "volume", "volumes"))
    } else {
        String::new()
    };
    format!(
        "This destroys {goes} of {}.{kept}\nType the stack's name ({}) to go on: ",
        place(plan),
        escape(&plan.basis.name)
    )
}

fn place(plan: &Plan) -> String {
    let scopes: Vec<String> = plan
        .basis
        .scopes
        .iter()
        .map(|(scope, (account, region))| {
            if is_cluster(scope) {
                return format!("cluster {}", escape(region));
            }
            let account = if account.is_empty() { "not known" } else { account };
            format!("{}, account {}", escape(region), escape(account))
        })
        .collect();
    format!("{} in {}", escape(&plan.basis.name), scopes.join(" and "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn the_question_names_stack_region_account_and_counts() {
        assert_eq!(
            apply(&samples::everyday()),
            "Apply to shop in us-east-1, account 123456789012: \
             1 to add, 1 to replace, 2 to change? [y/N] "
        );
    }

    #[test]
    fn destroying_asks_for_the_stacks_name() {
        assert_eq!(
            destroy(&samples::every_sort()),
            "This destroys 1 machine of shop in us-east-1, account 123456789012. 1 volume goes into quarantine.\n\
             Type the stack's name (shop) to go on: "
        );
        assert!(!destroy(&samples::hostile()).contains('\u{1b}'));
    }
}
