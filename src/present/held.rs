//! What is held: why, and what a person can do about it.

use evenkeel_core::expected::unanswered;
use evenkeel_core::observed::Gap;
use evenkeel_core::plan::{GOES_ALONG, Held, Hold, Plan};

use crate::document::{Role, Text};
use crate::failure::{Context, explain};
use crate::fold::fold_held;
use crate::plan::{Names, field, look, reasons};

/// What is wished and not made: what a person must lift by hand, or what waits for something.
pub(crate) fn held(plan: &Plan, names: &Names, refused: bool) -> Vec<Text> {
    fold_held(&plan.held)
        .into_iter()
        .filter(|(held, _)| held.by.is_refusal() == refused)
        .map(|(held, fold)| {
            let (sign, role, word) = look(held.change.action);
            let word = if word.is_empty() { "create" } else { word };
            let name = Text::of(role, sign).plain(" ").with(Role::Strong, names.fold(&fold)).plain(format!(" {word}"));
            let fields = held.change.fields.iter().flat_map(|f| field(f, false));
            let because = Text::join(reasons(&fold).into_iter().chain(fields), ", ");
            let role = if refused { Role::Error } else { Role::Warning };
            let waits = Text::of(role, wait_word(held.by)).plain(fold.words(&held.waits_for));
            Text::join([name, because, waits, Text::from(way_out(held, plan))], " · ")
        })
        .collect()
}

/// What stands before the words of a wait, so that the two read as one.
fn wait_word(by: Hold) -> &'static str {
    match by {
        Hold::Protection
        | Hold::DeleteCap
        | Hold::ZeroDesired
        | Hold::Foreign
        | Hold::Frozen
        | Hold::Floor
        | Hold::Blind
        | Hold::Launching
        | Hold::Quarantine => "waits for ",
        Hold::Breaker | Hold::Outage | Hold::Time => "held back: ",
        Hold::Unresolved => "not resolved: ",
        Hold::Filter => "",
    }
}

/// What a person can do about a held change; empty where only time or the run itself can, or where the words of the
/// wait say it already.
pub(crate) fn way_out(held: &Held, plan: &Plan) -> String {
    if let Some(gap) = gap_of(held, plan).filter(|_| held.by == Hold::Unresolved) {
        let (account, region) =
            plan.basis.scopes.get(&gap.scope).map(|(a, r)| (a.as_str(), r.as_str())).unwrap_or_default();
        return explain(&gap.failure, Context { account, region, scope: &gap.scope, ..Context::default() }).way_out;
    }
    let address = &held.change.address;
    let (said, words) = match held.by {
        Hold::Protection if held.waits_for.contains(GOES_ALONG) => return String::new(),
        Hold::Protection => ("unprotect", format!("`evenkeel unprotect {address}` lifts it")),
        Hold::DeleteCap => ("--max-deletes", "`--max-deletes N` raises it for one run".to_owned()),
        Hold::ZeroDesired => ("--allow-empty", "`--allow-empty` says that you mean it".to_owned()),
        Hold::Foreign => ("--force", "settle with its other owner first".to_owned()),
        Hold::Frozen => ("--replace", format!("`--replace {address}` replaces it all the same")),
        Hold::Unresolved if has_place(&held.waits_for) => {
            ("give its id", "correct the file, or make what it names".to_owned())
        }
        Hold::Floor
        | Hold::Breaker
        | Hold::Outage
        | Hold::Blind
        | Hold::Quarantine
        | Hold::Time
        | Hold::Launching
        | Hold::Filter
        | Hold::Unresolved => return String::new(),
    };
    if held.waits_for.contains(said) || held.waits_for.contains("a person") { String::new() } else { words }
}

/// What kept a lookup without an answer that a held change waits for: then it is not the file that is to be mended.
fn gap_of<'p>(held: &Held, plan: &'p Plan) -> Option<&'p Gap> {
    // A gap begins with what was asked for: `image …`, `subnets …`, `security group …`.
    let sort = |gap: &&Gap| gap.what.split(' ').next().is_some_and(|sort| held.waits_for.contains(sort));
    let mut gaps = plan.gaps.iter().filter(|gap| gap.kind.is_none());
    // The place in the file may follow.
    let by = |gap: &&Gap| {
        let said = held.waits_for.split_once(&unanswered(&gap.scope));
        said.is_some_and(|(_, rest)| rest.is_empty() || rest.starts_with(" ("))
    };
    gaps.find(|gap| by(gap) && sort(gap))
}

/// Whether the words end with a place in the file: `… (image, evenkeel.toml:12)`.
fn has_place(words: &str) -> bool {
    let line = words.strip_suffix(')').and_then(|w| w.rsplit_once(':')).map(|(_, line)| line);
    line.is_some_and(|line| !line.is_empty() && line.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use evenkeel_core::address::Group;
    use evenkeel_core::failure::{Class, Failure};
    use evenkeel_core::plan::{Action, Why};

    use super::*;
    use crate::samples;

    #[test]
    fn what_could_not_be_looked_up_is_blamed_on_the_table_that_asked() {
        let mut plan = samples::empty();
        plan.basis.scopes.clear();
        for (scope, account) in [("", "111111111111"), ("west", "222222222222")] {
            plan.basis.scopes.insert(scope.into(), (account.into(), "us-east-1".into()));
            let failure =
                Failure::new(Class::Denied, "UnauthorizedOperation", "DescribeImages: You are not authorized");
            plan.gaps.push(Gap { scope: scope.into(), kind: None, what: "image x".into(), failure, partial: true });
        }
        for (scope, account) in [("", "111111111111"), ("west", "222222222222")] {
            let change = samples::change(Group::machines("web").slot(0), Action::Create, Why::Declared, "count 1");
            let held = samples::held(change, Hold::Unresolved, &format!("image x {}", unanswered(scope)));
            let way_out = way_out(&held, &plan);
            assert!(way_out.contains(&account[..4]), "{way_out}");
        }
    }
}
