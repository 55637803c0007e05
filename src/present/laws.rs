//! What holds for every page and every text the world can send: nothing hidden, no secret, within the limit.

use evenkeel_core::event::{Event, Happened};
use evenkeel_core::failure::{Class, Failure};
use evenkeel_core::observed::Gap;
use evenkeel_core::plan::{Action, Hold, Note, Plan, Why};
use evenkeel_core::value::Value;
use proptest::prelude::*;
use unicode_width::UnicodeWidthStr;

use crate::document::Doc;
use crate::drift::DriftReport;
use crate::escape::{escape, hides};
use crate::failure::{Context, explain};
use crate::progress::{Face, Live};
use crate::redact::Redactor;
use crate::{json, plan, plan_json, prompt, render, samples};

/// A plan with `words` in every place where the world, or a person, puts text.
fn plan_with(words: &str) -> Plan {
    let mut p = samples::everyday();
    let w = || words.to_owned();
    p.basis.name = w();
    let mut c = samples::change(samples::web().slot(3), Action::Update, Why::Drifted, words);
    c.object = Some(w());
    (c.zone, c.what, c.how) = (w(), w(), w());
    let map = |v: &str| Value::Map([(w(), Value::from(v)), ("b".to_owned(), Value::set([v]))].into());
    c.fields = vec![
        samples::field("tags", map("x"), map(words), Why::Drifted),
        samples::field(words, words, Value::Null, Why::Conflict),
    ];
    c.fields[1].forces_replacement = Some(w());
    p.held.push(samples::held(c.clone(), Hold::Floor, words));
    let mut gone = c.clone();
    gone.action = Action::Delete;
    p.changes.extend([c, gone]);
    p.notes.push(Note { kind: w(), about: w(), says: w() });
    p.gaps.push(Gap {
        scope: w(),
        kind: None,
        what: w(),
        failure: Failure::new(Class::Denied, words, words),
        partial: false,
    });
    p.unread.push((samples::web(), w(), 3));
    p.seal()
}

/// A run of that plan, told with these words.
fn run_with(words: &str, secrets: &Redactor, face: Face) -> Live {
    let mut live = Live::new(plan_with(words), secrets.clone(), face);
    let says = |happened| Event { at: samples::now(), happened };
    for happened in [
        Happened::Began { plan: samples::empty().id, attempt: 1 },
        Happened::Refused { change: 0, because: words.to_owned() },
        Happened::Started { step: 0 },
        Happened::Waiting { step: 0, shows: vec![words.to_owned()] },
        Happened::Failed { step: 0, failure: Failure::new(Class::Invalid, words, words), lost: vec![] },
        Happened::Skipped { step: 1, because: words.to_owned() },
    ] {
        live.on(&says(happened)).unwrap();
    }
    live
}

/// Everything that is printed of such a plan.
fn all_outputs(words: &str, secrets: &Redactor) -> Vec<String> {
    let p = plan_with(words);
    let drift = DriftReport::of(&p);
    let explained =
        explain(&p.gaps[0].failure, Context { doing: words, region: words, account: words, ..Context::default() });
    let live = run_with(words, secrets, Face::Silent);
    let docs: Vec<Doc> = vec![
        plan::page(&p, plan::View::default()),
        drift.page(),
        explained.page(),
        live.report().page(),
        live.in_flight(),
    ];
    let mut all: Vec<String> = Vec::new();
    for doc in &docs {
        all.extend([40, 80, 200].map(|width| render::text(doc, secrets, width, false)));
        all.push(render::markdown(doc, secrets, render::GITHUB_COMMENT));
    }
    all.push(json::pretty(&plan_json::json(&p), secrets));
    all.push(json::pretty(&drift, secrets));
    all.push(json::pretty(&live.report(), secrets));
    all.push(secrets.line(&prompt::apply(&p)));
    all.push(secrets.line(&prompt::destroy(&p)));
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nothing_hidden_reaches_any_output(words in any::<String>()) {
        for text in all_outputs(&words, &Redactor::none()) {
            prop_assert!(!text.chars().any(|c| hides(c) && c != '\n'), "{text:?}");
        }
    }

    #[test]
    fn no_secret_reaches_any_output(secret in "zq9[a-z\u{202e}\"`\\\\\n é]{1,30}[a-z]", before in "[a-z ]{0,9}") {
        let secrets = Redactor::new([&secret]);
        for text in all_outputs(&format!("{before}{secret} and more"), &secrets) {
            prop_assert!(!text.contains(&secret) && !text.contains(&escape(&secret)) && !text.contains("zq9"), "{text}");
        }
    }

    #[test]
    fn a_page_keeps_its_width_but_for_words_that_cannot_be_broken(words in "([a-z東é]{1,12} ?){0,20}") {
        let page = plan::page(&plan_with(&words), plan::View::default());
        for line in render::text(&page, &Redactor::none(), 80, false).lines() {
            prop_assert!(line.width() <= 80 || line.split(' ').any(|w| w.width() > 40), "{line}");
        }
    }

    #[test]
    fn a_comment_keeps_its_limit_and_its_fence(words in "[`\n a-z]{0,40}", limit in 0usize..6_000, more in 0u32..60) {
        let mut p = plan_with(&words);
        for slot in 0..more {
            p.changes.push(samples::change(samples::web().slot(slot), Action::Delete, Why::Asked, &words));
        }
        let text = render::markdown(&plan::page(&p, plan::View::default()), &Redactor::none(), limit);
        prop_assert!(text.chars().count() <= limit);
        let fence: String = text.lines().find(|l| l.starts_with("```")).unwrap_or("").chars().take_while(|c| *c == '`').collect();
        if limit > 2_000 {
            prop_assert_eq!(text.matches(fence.as_str()).count(), 2, "{}", text);
        }
    }
}

#[test]
fn a_comment_of_a_thousand_changes_says_how_much_it_leaves_out() {
    let mut p = samples::empty();
    for slot in 0..2_000 {
        let mut c = samples::change(samples::web().slot(slot), Action::Delete, Why::Asked, "destroy");
        c.how = "a line of detail".to_owned();
        p.changes.push(c);
    }
    let text = render::markdown(&plan::page(&p, plan::View::default()), &Redactor::none(), render::GITHUB_COMMENT);
    assert!(text.chars().count() <= render::GITHUB_COMMENT);
    assert!(text.starts_with("**0 to add, 0 to replace, 0 to change, 2,000 to destroy**"));
    assert!(
        text.trim_end().ends_with("lines are left out here: a comment has a limit. The plan itself has them all._")
    );
    assert!(text.contains("web/500 ") && !text.contains("a line of detail"), "destroys come before details");
}
