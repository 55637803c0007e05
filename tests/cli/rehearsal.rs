//! `plan --dry-run`: what would be refused, before anything is done.

use super::place::{Place, SHOP};

/// Every call of this name is refused.
fn deny(place: &Place, action: &str) {
    place.args(&[
        "sim",
        "do",
        &format!(r#"{{"add-fault": {{"fault": {{"effect": {{"fail": "denied"}}, "on": ["{action}"]}}}}}}"#),
    ]);
}

/// Without the folds of a page.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_plan_that_would_go_through_says_so_and_does_nothing() {
    let place = Place::with(SHOP);
    let said = place.run("plan --dry-run").ends(0).shows("rehearsed").shows("none would be refused");
    assert!(words(&said.out).contains("quotas, capacity") && words(&said.out).contains("what the plan itself makes"));
    place.run("plan --dry-run --exit-code").ends(2);
    assert!(!place.read("world.toml").contains("[instances."), "nothing was launched");
}

#[test]
fn each_sort_of_call_that_would_be_refused_is_one_line_with_the_way_out_said_once() {
    let place = Place::with(SHOP);
    place.run("plan").ends(0);
    deny(&place, "RunInstances");
    deny(&place, "CreateVolume");
    let said = place.run("plan --dry-run").ends(6);
    assert_eq!(said.out.matches("would fail").count(), 2, "one a sort, not one a zone: {said}");
    assert_eq!(said.out.matches("way out").count(), 2, "one a permission: {said}");
    assert!(words(&said.out).contains("(`evenkeel policy aws` prints"), "{said}");
    said.shows("ec2:RunInstances").shows("ec2:CreateVolume").never("none would be refused");
    place.run("plan").ends(0);
}

#[test]
fn changes_and_ends_are_rehearsed_too() {
    let place = Place::applied(SHOP);
    for (edit, denied) in [(("payments", "billing"), "CreateTags"), (("count = 6", "count = 5"), "TerminateInstances")]
    {
        place.edit(edit.0, edit.1);
        place.run("plan --dry-run --max-deletes 100%").ends(0).shows("none would be refused");
        deny(&place, denied);
        place.run("plan --dry-run --max-deletes 100%").ends(6).shows(&format!("ec2:{denied}"));
        place.run("sim clear-faults").ends(0);
    }
    place.run("plan --exit-code").ends(2);
}

#[test]
fn a_subnet_with_too_few_free_addresses_is_told_before() {
    let place = Place::with(&SHOP.replace("count = 6", "count = 36"));
    place.run("plan").ends(0);
    let world = place.read("world.toml");
    // EC2 keeps five of sixteen.
    place.write("world.toml", world.replace("/20\"", "/28\""));
    let said = place.run("plan --dry-run").ends(6);
    assert!(words(&said.out).contains("has 11 free addresses, and 12 machines go there"), "{said}");
    assert_eq!(said.out.matches("would fail").count(), 3, "{said}");
    let json = place.run("plan --dry-run --format json").ends(6).json();
    let crowded = &json["rehearsal"]["findings"][0]["crowded"];
    assert_eq!((crowded["free"].as_u64(), crowded["needed"].as_u64()), (Some(11), Some(12)), "{json}");
    assert!(json["rehearsal"]["findings"][0]["refused"].is_null());
    assert!(place.run("plan --format json").ends(0).json()["rehearsal"].is_null());
}

#[test]
fn a_limit_of_the_account_that_leaves_no_room_is_told_before() {
    let place = Place::with(SHOP);
    place.run("plan").ends(0);
    place.run("plan --dry-run").ends(0).never("limit on vCPUs");
    let world = place.read("world.toml");
    assert!(world.contains("\nvcpus = 50000\n"), "the limit of a new account");
    place.write("world.toml", world.replacen("\nvcpus = 50000\n", "\nvcpus = 8\n", 1));
    let said = place.run("plan --dry-run").ends(6);
    let told = "the account may have 8 vCPUs at once (quota L-1216C47A), has 0, and 12 more are launched";
    assert!(words(&said.out).contains(told), "{said}");
    assert_eq!(said.out.matches("would fail").count(), 1, "{said}");
    let json = place.run("plan --dry-run --format json").ends(6).json();
    let limited = &json["rehearsal"]["findings"][0]["limited"];
    assert_eq!(["most", "used", "needed"].map(|key| limited[key].as_u64()), [Some(8), Some(0), Some(12)], "{json}");
    // Who may not ask for it is told so, and what he plans may still go through.
    deny(&place, "GetServiceQuota");
    let said = place.run("plan --dry-run").ends(0);
    assert!(words(&said.out).contains("the account's limit on vCPUs (UnauthorizedOperation"), "{said}");
}

#[test]
fn credentials_that_expired_meanwhile_are_not_a_refusal_of_the_plan() {
    let place = Place::with(SHOP);
    place.run("plan").ends(0);
    place.args(&[
        "sim",
        "do",
        r#"{"add-fault": {"fault": {"effect": {"fail": "credentials"}, "on": ["RunInstances"]}}}"#,
    ]);
    let said = place.run("plan --dry-run").ends(8);
    assert!(words(&said.out).contains("there are no valid credentials"), "{said}");
}
