//! A role is assumed on the served world as on AWS: by the declaration, and by a profile of the shared config files.

use std::fs;

use evenkeel_sim::World;
use evenkeel_sim::action::Action;
use evenkeel_sim::faults::Fault;

use super::SPEED;
use super::lab::Served;
use crate::wire::place::{done, file};
use crate::wire::proxy::Proxy;
use crate::wire::story::Lab;

/// A declaration with one more line under `[aws]`.
fn with(line: &str) -> String {
    let plain = file("shop", "c66666666", "web");
    let region = "region = \"us-east-1\"\n";
    assert!(plain.contains(region), "{plain}");
    plain.replacen(region, &format!("{region}{line}\n"), 1)
}

/// Every call after the first was signed with the role's keys, and not a role was assumed twice.
fn as_the_role(proxy: &Proxy, front: &Served, own: &str) {
    let calls = proxy.calls();
    let signed: Vec<(&str, &str)> =
        calls.iter().map(|c| (c.action.as_str(), c.key.as_deref().unwrap_or_default())).collect();
    let (first, rest) = signed.split_first().expect("it calls");
    assert_eq!(*first, ("AssumeRole", own));
    assert!(rest.iter().all(|(_, key)| key.starts_with("ASIA")) && !rest.is_empty(), "{signed:?}");
    assert_eq!(front.sim.counts().get(&Action::AssumeRole), Some(&1));
}

#[test]
fn a_role_of_the_declaration_is_assumed_once_and_does_everything() {
    let world = World::founding(1);
    let role = format!("role = \"arn:aws:iam::{}:role/teams/ops\"", world.account);
    let front = Served::start(world, SPEED);
    let proxy = Proxy::before(&front.url);
    front.place(&proxy.url, &with(&role)).run("apply --yes").ends(0).tells("Converged");
    as_the_role(&proxy, &front, "testing");
    assert_eq!(front.sim.world().expect("in memory").instances.len(), 3);
}

#[test]
fn a_profile_with_a_role_is_assumed_with_the_keys_of_its_source() {
    let world = World::founding(1);
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("config");
    let text = format!(
        "[profile ops]\nrole_arn = arn:aws:iam::{}:role/ops\nsource_profile = base\nrole_session_name = ci\n\n\
         [profile base]\naws_access_key_id = AKIABASE\naws_secret_access_key = secret\n",
        world.account
    );
    fs::write(&config, text).expect("it can be written");
    for (line, profile) in [("profile = \"ops\"", None), ("", Some("ops"))] {
        let front = Served::start(world.clone(), SPEED);
        let proxy = Proxy::before(&front.url);
        let place = front.place(&proxy.url, &with(line));
        let mut command = place.command("plan --exit-code");
        command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
        command.env("AWS_CONFIG_FILE", &config).envs(profile.map(|name| ("AWS_PROFILE", name)));
        done(&mut command).ends(2).tells("6 to add");
        as_the_role(&proxy, &front, "AKIABASE");
    }
}

#[test]
fn a_role_that_may_not_be_assumed_is_told_with_what_aws_said() {
    let mut world = World::founding(1);
    let own = format!("arn:aws:iam::{}:role/ops", world.account);
    for (role, denied) in [("arn:aws:iam::999999999999:role/ops", false), (own.as_str(), true)] {
        world.faults = if denied { vec![Fault::deny(Action::AssumeRole)] } else { Vec::new() };
        let front = Served::start(world.clone(), SPEED);
        let place = front.place(&front.url, &with(&format!("role = \"{role}\"")));
        place.run("plan").ends(8).tells("AccessDenied");
        assert!(front.sim.counts().keys().all(|action| *action == Action::AssumeRole), "{:?}", front.sim.counts());
    }
}
