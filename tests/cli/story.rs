//! The whole story, from nothing to nothing: declare, plan, apply, damage, see, heal, destroy.

use super::place::{Place, SHOP};

#[test]
fn a_fleet_is_declared_built_damaged_seen_healed_and_destroyed() {
    let shop = Place::empty();
    shop.run("init --name shop").ends(0).says("Wrote ");
    shop.run("validate").ends(0).says("is fine");

    shop.run("plan --exit-code").ends(2).shows("0 → 6").shows("6 to add");
    shop.run("status").ends(9);
    shop.run("apply --yes").ends(0).says("Converged");
    shop.run("status").ends(0).shows("6 of 6 ready");
    shop.run("drift").ends(0);

    shop.run("sim kill web/2").ends(0);
    shop.run("status").ends(9).shows("5 of 6").shows("web/2");
    shop.run("plan --exit-code").ends(3).shows("web/2").shows("Client.UserInitiatedShutdown").shows("1 to add");
    shop.run("apply --yes").ends(0).says("healthy: web/2").says("Converged");
    shop.run("status").ends(0);
    shop.run("plan --exit-code").ends(0).shows("No changes");

    shop.run("destroy --yes").ends(0).says("Converged");
    shop.run("status").ends(9).shows("missing");
    let world = shop.run("sim look --json").ends(0).json();
    assert_eq!(world["violations"], serde_json::json!([]));
}

#[test]
fn the_second_plan_is_empty_and_changes_nothing() {
    let shop = Place::applied(SHOP);
    let calls = || shop.run("sim look --json").json()["calls"].clone();
    let before = calls();
    let changing = |calls: &serde_json::Value| {
        let calls = calls.as_object().expect("a table").clone();
        calls
            .into_iter()
            .filter(|(name, _)| !name.starts_with("Describe") && !name.starts_with("Get"))
            .collect::<Vec<_>>()
    };
    shop.run("plan --exit-code").ends(0).shows("No changes");
    shop.run("apply --yes").ends(0).shows("No changes");
    assert_eq!(changing(&before), changing(&calls()));
}
