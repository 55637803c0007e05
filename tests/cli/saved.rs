//! Saved plans: exactly what was shown is what is done, or it is refused.

use super::place::{Place, SHOP, TRIO};

/// A stack with something to do, and its plan in the file `p`.
fn planned() -> Place {
    let trio = Place::applied(TRIO);
    trio.run("sim tag node/0 team=x").ends(0);
    trio.edit("count = 3", "count = 4\ntags = { team = \"y\" }");
    trio.run("plan -o p").ends(0);
    trio
}

#[test]
fn a_saved_plan_is_shown_again_and_done_exactly() {
    let trio = planned();
    let page = |text: &str| text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    let planned = trio.run("plan");
    let shown = trio.run("show p").ends(0);
    assert_eq!(page(&planned.out), page(&shown.out));
    trio.run("apply p").ends(0).says("Converged");
    trio.run("plan --exit-code").ends(0);
    // Again: it is known to be done.
    trio.run("apply p").ends(0).never("launched");
    assert_eq!(trio.run("sim look --json").json()["machines"].as_array().map(Vec::len), Some(4));
}

#[test]
fn a_saved_plan_of_a_part_is_done_when_that_part_is() {
    let shop = Place::with(SHOP);
    shop.run("plan -o p --target machines.web/0").ends(0).shows("1 to add");
    shop.run("plan -o p --target web/0").ends(0).shows("1 to add");
    shop.run("apply p").ends(0).says("Converged");
    assert_eq!(shop.run("sim look --json").json()["machines"].as_array().map(Vec::len), Some(1));
    shop.run("plan --exit-code").ends(2).shows("11 to add");
}

#[test]
fn the_owner_alone_can_read_a_saved_plan() {
    use std::os::unix::fs::PermissionsExt;
    let trio = planned();
    let mode = std::fs::metadata(trio.path("p")).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn one_flipped_byte_anywhere_is_refused() {
    let trio = planned();
    let whole = std::fs::read(trio.path("p")).expect("it is there");
    let before = trio.run("sim look --json").out;
    let step = whole.len() / 24;
    for at in (0..whole.len()).step_by(step).chain([whole.len() - 1]) {
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        trio.write("q", &flipped);
        let said = trio.run("apply q").ends(5).says("evenkeel plan -o");
        assert!(said.out.is_empty(), "byte {at}: {said}");
        trio.run("show q").ends(5);
    }
    for (name, bytes) in [
        ("empty", Vec::new()),
        ("cut", whole[..whole.len() / 2].to_vec()),
        ("longer", [whole.as_slice(), b"\n"].concat()),
        ("another thing", b"{}".to_vec()),
        ("no text", vec![0xff; 64]),
        ("deep", b"[".repeat(100_000)),
    ] {
        trio.write("q", &bytes);
        let said = trio.run("apply q").ends(5);
        assert!(said.err.starts_with("error: q "), "{name}: {said}");
    }
    assert_eq!(trio.run("sim look --json").out, before, "nothing was done");
}

#[test]
fn what_moved_since_the_plan_is_refused_and_the_rest_is_done() {
    let shop = Place::applied(SHOP);
    shop.run("sim tag web/1 team=x").ends(0);
    shop.edit("count = 6", "count = 7");
    shop.run("plan -o p").ends(0);
    shop.run("sim tag web/1 team=y").ends(0);
    let said = shop.run("apply p").ends(7);
    said.says("refused web/1").says("launched web/6").says("attached data/6").never("tagged web/1");
    shop.run("sim look --json").shows("machines.web/6");
    shop.run("plan --exit-code").ends(3).shows("team y → payments").never("web/6");
}

#[test]
fn what_depends_on_a_refused_action_is_left_out_with_it() {
    let shop = Place::applied(SHOP);
    // Launch, terminate, hand the volume over: one chain.
    shop.run("plan -o p --replace machines.web/1").ends(0).shows("launch first");
    shop.run("sim tag web/1 team=other").ends(0);
    shop.run("apply p").ends(5).says("left out").never("launched").never("terminated");
    shop.run("status").ends(0);
}

#[test]
fn a_plan_that_launches_into_a_zone_that_went_out_since_is_refused() {
    let trio = Place::applied(&TRIO.replace("count = 3", "count = 9"));
    trio.edit("count = 9", "count = 11");
    trio.run("plan -o p").ends(0).shows("2 to add");
    trio.run("sim lose-zone us-east-1a").ends(0);
    trio.run("apply p").ends(7).says("refused node/9: 3 of 3 unwell in zone us-east-1a").says("launched node/10");
}

#[test]
fn a_replacement_for_a_retirement_that_was_called_off_since_is_refused() {
    let trio = Place::applied(TRIO);
    let before = trio.read("world.toml");
    trio.run("sim retire node/1 --in 24h").ends(0);
    trio.run("plan -o p").ends(0).shows("1 to replace");
    trio.write("world.toml", before);
    trio.run("apply p").ends(5).says("called off").never("launched");
}

#[test]
fn a_plan_of_another_stack_is_refused() {
    let trio = planned();
    trio.edit("abcdefgh", "bcdefghj");
    trio.run("apply p").ends(5).says("abcdefgh").says("bcdefghj");
}

#[test]
fn a_plan_of_another_account_or_region_is_refused() {
    let trio = planned();
    let world = trio.read("world.toml");
    trio.write("world.toml", world.replace("123456789012", "210987654321"));
    trio.run("apply p").ends(5).says("account");
    trio.write("world.toml", world.replace("us-east-1", "us-west-2"));
    let file = trio.read("evenkeel.toml");
    trio.write("evenkeel.toml", file.replace("us-east-1", "us-west-2"));
    trio.run("apply p").ends(5).says("us-east-1");
}

#[test]
fn a_boot_script_that_changed_since_the_plan_refuses_its_machine() {
    let trio = Place::with(TRIO);
    trio.edit("count = 3", "count = 3\nuser-data = \"boot.sh\"");
    trio.write("boot.sh", "#!/bin/sh\necho one\n");
    trio.run("plan -o p").ends(0);
    trio.write("boot.sh", "#!/bin/sh\necho two\n");
    trio.run("apply p").ends(5).says("boot script");
    trio.run("sim look --json").shows("\"machines\": []");
}

/// The shell's limit on the size of a file stands in for a disk that is full.
#[test]
fn a_full_disk_while_saving_loses_nothing() {
    let trio = planned();
    let before = trio.read("p");
    trio.edit("count = 4", "count = 900");
    let mut shell = std::process::Command::new("sh");
    let evenkeel = env!("CARGO_BIN_EXE_evenkeel");
    shell.args(["-c", &format!("trap '' XFSZ; ulimit -f 64; exec '{evenkeel}' plan -o p")]);
    shell.current_dir(trio.path("")).env("EVENKEEL_SIM", "world.toml");
    let output = shell.output().expect("sh starts");
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(err.contains("error: cannot use the plan file p: File too large"), "{err}");
    assert_eq!(trio.read("p"), before, "what stood there still stands");
    let left: Vec<_> =
        trio.files().into_iter().filter(|(p, _)| p.to_string_lossy().contains("evenkeel-plan")).collect();
    assert!(left.is_empty(), "nothing half written is left: {left:?}");
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let trio = Place::with(TRIO);
    trio.run("plan -o nowhere/p").ends(1).says("nowhere/p");
    std::fs::create_dir(trio.path("dir")).expect("a folder");
    trio.run("plan -o dir").ends(1).says("dir");
    trio.run("apply nowhere").ends(1).says("nowhere");
    trio.run("show dir").ends(1).says("dir");
}

#[test]
fn a_volume_is_not_modified_again_within_six_hours_and_the_plan_says_when() {
    let shop = Place::applied(SHOP);
    let grow = |from: &str, to: &str| shop.edit(&format!("size = \"{from}\""), &format!("size = \"{to}\""));
    grow("50GiB", "60GiB");
    shop.run("plan").ends(0).shows("then no other change for 6h");
    shop.run("apply --yes").ends(0);
    grow("60GiB", "70GiB");
    shop.run("plan").ends(0).shows("no volume again so soon").shows("6 held");
    shop.run("sim advance 6h").ends(0);
    shop.run("apply --yes").ends(0).says("Converged");
    shop.run("plan --exit-code").ends(0);
}

#[test]
fn a_forced_plan_is_done_as_it_was_saved() {
    let trio = Place::with(TRIO);
    trio.edit("count = 3", "count = 3\nuser-data = \"boot.sh.j2\"");
    trio.write("boot.sh.j2", "#!/bin/sh\necho {{ slot }}\n");
    trio.run("apply --yes").ends(0);
    // Somebody else's machine holds a slot by our own marks.
    trio.run("sim tag node/1 aws:autoscaling:groupName=theirs").ends(0);
    trio.run("plan").shows("--force takes it");
    trio.run("plan --force --replace node/1 -o p").ends(0);
    trio.run("apply p").ends(0).says("Converged");
}
