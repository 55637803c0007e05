//! What the pages look like, one snapshot each, through one helper.

use evenkeel_core::failure::{Class, Failure};
use evenkeel_core::plan::Plan;
use unicode_width::UnicodeWidthStr;

use crate::document::Doc;
use crate::drift::DriftReport;
use crate::escape::hides;
use crate::failure::{Context, explain};
use crate::redact::Redactor;
use crate::{diagnostics, json, plan, plan_json, render, samples};

/// Snapshots the page as text at eighty columns and checks what every page must keep.
pub(crate) fn shows(name: &str, doc: &Doc) {
    let text = render::text(doc, &Redactor::none(), 80, false);
    keeps_the_rules(&text, 80);
    insta::assert_snapshot!(name, text);
    keeps_the_rules(&render::text(doc, &Redactor::none(), 60, false), 60);
    keeps_the_rules(&render::text(doc, &Redactor::none(), 200, false), 200);
}

/// No line is wider than `width`, except one that holds nothing but its indent and a word that cannot be broken.
pub(crate) fn keeps_the_rules(text: &str, width: usize) {
    for line in text.lines() {
        let words = line.split(' ').filter(|w| !w.is_empty());
        let longest = words.clone().map(UnicodeWidthStr::width).max().unwrap_or(0);
        assert!(line.width() <= width || longest > width / 2, "{} columns: {line}", line.width());
        assert!(!line.ends_with(' '), "blank at the end: {line:?}");
        assert!(!line.chars().any(hides), "hidden character: {line:?}");
    }
}

fn page(plan: &Plan) -> Doc {
    plan::page(plan, plan::View { took_ms: Some(900), ..plan::View::default() })
}

#[test]
fn plans_read_well() {
    shows("plan_first", &page(&samples::first()));
    shows("plan_everyday", &page(&samples::everyday()));
    shows("plan_every_sort", &page(&samples::every_sort()));
    shows("plan_empty", &page(&samples::empty()));
    shows("plan_hostile", &page(&samples::hostile()));
}

#[test]
fn a_plan_in_colour() {
    insta::assert_snapshot!(render::text(&page(&samples::everyday()), &Redactor::none(), 80, true));
}

#[test]
fn a_plan_for_a_comment() {
    insta::assert_snapshot!(render::markdown(&page(&samples::everyday()), &Redactor::none(), render::GITHUB_COMMENT));
    insta::assert_snapshot!(render::markdown(&page(&samples::every_sort()), &Redactor::none(), 1_500));
    insta::assert_snapshot!(render::markdown(&page(&samples::hostile()), &Redactor::none(), render::GITHUB_COMMENT));
}

#[test]
fn a_plan_for_programs() {
    insta::assert_snapshot!(json::pretty(&plan_json::json(&samples::everyday()), &Redactor::none()));
}

#[test]
fn drift_reads_well() {
    for (name, plan) in
        [("everyday", samples::everyday()), ("every_sort", samples::every_sort()), ("empty", samples::empty())]
    {
        let report = DriftReport::of(&plan);
        shows(&format!("drift_{name}"), &report.page());
    }
    insta::assert_snapshot!(json::pretty(&DriftReport::of(&samples::everyday()), &Redactor::none()));
}

#[test]
fn status_reads_well() {
    let mut report = samples::status();
    shows("status_bad_day", &report.page(false));
    insta::assert_snapshot!(render::text(&report.page(false), &Redactor::none(), 80, true));
    report.groups.remove(0);
    insta::assert_snapshot!(json::pretty(&report.json(), &Redactor::none()));
    report.groups.remove(0);
    report.gaps.clear();
    report.situation.clear();
    shows("status_well", &report.page(true));
}

#[test]
fn diagnostics_read_well() {
    let (all, sources) = samples::mistakes();
    let secrets = Redactor::new(["p4ssw0rd!"]);
    let text = diagnostics::text(&all, &sources, &secrets, 80, false);
    keeps_the_rules(&text, 80);
    insta::assert_snapshot!("diagnostics", text);
    insta::assert_snapshot!("diagnostics_colour", diagnostics::text(&all, &sources, &secrets, 80, true));
    insta::assert_snapshot!("diagnostics_github", diagnostics::github(&all, &sources, &secrets));
    insta::assert_snapshot!("diagnostics_json", json::pretty(&diagnostics::json(&all, &sources), &secrets));
}

#[test]
fn failures_have_a_way_out() {
    use Class::*;
    let mut all = String::new();
    for (class, code, says) in [
        (Throttled, "RequestLimitExceeded", "RunInstances: Request limit exceeded."),
        (Transient, "", "DescribeInstances: connection reset by peer"),
        (Capacity, "InsufficientInstanceCapacity", "RunInstances: no t3.small in us-east-1a right now"),
        (Quota, "VcpuLimitExceeded", "RunInstances: you have requested more vCPU than your limit of 32 allows"),
        (
            Denied,
            "UnauthorizedOperation",
            "RunInstances: not authorized to perform: iam:PassRole on resource: arn:aws:iam::123456789012:role/web. \
             Encoded authorization failure message: 4GIOHlTkIaWHQD0Q0m6XSnuMMCm",
        ),
        (Credentials, "ExpiredToken", "GetCallerIdentity: the security token has expired"),
        (Credentials, "", "the SSO session is not valid any more"),
        (Credentials, "", "no credentials in the environment, the shared files or the instance"),
        (NotFound, "InvalidInstanceID.NotFound", "TerminateInstances: i-1 does not exist"),
        (Busy, "IncorrectState", "AttachVolume: vol-1 is not available"),
        (Protected, "OperationNotPermitted", "TerminateInstances: disableApiTermination is set"),
        (TokenMismatch, "IdempotentParameterMismatch", "RunInstances: other parameters"),
        (TokenSpent, "IdempotentInstanceTerminated", "RunInstances: the instance is terminated"),
        (Invalid, "InvalidParameterValue", "CreateVolume: iops out of range"),
    ] {
        let context =
            Context { doing: "launch web/6", scope: "", region: "us-east-1", account: "123456789012", profile: "prod" };
        let page = explain(&Failure::new(class, code, says), context).page();
        let text = render::text(&page, &Redactor::none(), 80, false);
        keeps_the_rules(&text, 80);
        all.push_str(&text);
        all.push('\n');
    }
    insta::assert_snapshot!(all);
}
