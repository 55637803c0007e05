//! Canaries: a secret is told to the machine that needs it, and to nobody and nothing else.

use super::place::{Place, SHOP, Said};

const CANARY: &str = "canary-7hW2-Zq9s";

fn shop() -> Place {
    let file = SHOP.replace("[aws]", "[vars]\npass = { secret = true }\n\n[aws]");
    let shop = Place::with(&file.replace("tags = {", "user-data = \"boot.sh.j2\"\ntags = {"));
    shop.write("boot.sh.j2", "#!/bin/sh\necho '{{ vars.pass }}' >/etc/pass # {{ slot }}\n");
    shop
}

/// The canary as it stands, and as tools write such things down.
fn faces(secret: &str) -> Vec<String> {
    use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER};
    use sha2::{Digest, Sha256};
    let bytes = secret.as_bytes();
    // Base64 of a part depends on where in a group of three it begins.
    let shifted = (0..3).map(|n| {
        let padded = [&b"\0\0\0"[..n], bytes].concat();
        let text = BASE64.encode(&padded);
        text[4..text.len() - 4].to_owned()
    });
    let bare = Sha256::digest(bytes);
    [
        secret.to_owned(),
        HEXLOWER.encode(bytes),
        HEXLOWER.encode(&bare),
        BASE64.encode(&bare),
        BASE64URL_NOPAD.encode(&bare),
    ]
    .into_iter()
    .chain(shifted)
    .collect()
}

fn keeps_it(said: Said) -> Said {
    for face in faces(CANARY) {
        assert!(!said.out.contains(&face) && !said.err.contains(&face), "{face} is in it: {said}");
    }
    said
}

fn nothing_kept_holds_it(shop: &Place) {
    let files = shop.files();
    assert!(files.iter().any(|(p, _)| p.to_string_lossy().contains(".evenkeel")), "there is a journal to look at");
    for (path, bytes) in files {
        let text = String::from_utf8_lossy(&bytes);
        for face in faces(CANARY) {
            assert!(!text.contains(&face), "{} holds {face}", path.display());
        }
    }
}

#[test]
fn a_secret_is_in_no_output_and_in_no_file_over_the_whole_journey() {
    let shop = shop();
    let env = [("EVENKEEL_VAR_pass", CANARY)];
    let run = |words: &str| keeps_it(shop.run_with(&env, words));

    run("validate").ends(0);
    run("plan -v -o p --format json").ends(0);
    run("plan --format markdown").ends(0);
    run("show p").ends(0);
    run("show p --format json").ends(0);
    run("apply p -v").ends(0);
    assert!(shop.read("world.toml").contains("user-data"), "the machines did get their script");
    nothing_kept_holds_it(&shop);

    run("plan --deep --exit-code").ends(0);
    run("drift --deep --format json").ends(0);
    run("status -v").ends(0);
    run("status --json").ends(0);
    run("output").ends(0);
    run("sim").ends(0);
    run("sim look --json").ends(0);

    run("sim kill web/2").ends(0);
    run("sim capacity us-east-1c t3.small 0").ends(0);
    run("apply --yes -v --events json").ends(7);
    run("sim capacity us-east-1c t3.small").ends(0);
    run("sim advance 5m").ends(0);
    run("apply --yes -v").ends(0);
    nothing_kept_holds_it(&shop);

    // Another value: the machines that hold the old one are told apart, without either value.
    let other = [("EVENKEEL_VAR_pass", "canary-other")];
    let said = keeps_it(shop.run_with(&other, "plan --format json"));
    assert!(!said.out.contains("canary-other"), "{said}");
    run("destroy --yes").ends(0);
    nothing_kept_holds_it(&shop);
}

#[test]
fn a_secret_given_by_a_flag_or_a_file_is_kept_as_well() {
    let shop = shop();
    keeps_it(shop.args(&["plan", "-v", "--var", &format!("pass={CANARY}")])).ends(0);
    shop.write("vars.toml", format!("pass = \"{CANARY}\"\n"));
    keeps_it(shop.run("plan -v --var-file vars.toml")).ends(0);
    // One of the two files is the user's own, and may hold it.
    std::fs::remove_file(shop.path("vars.toml")).expect("it is there");
    keeps_it(shop.args(&["apply", "--yes", "--var", &format!("pass={CANARY}")])).ends(0);
    nothing_kept_holds_it(&shop);
}

#[test]
fn a_mistake_beside_a_secret_does_not_show_it() {
    let shop = shop();
    let env = [("EVENKEEL_VAR_pass", CANARY)];
    let file = shop.read("evenkeel.toml");
    for (old, new) in [
        ("tags = {", "tags = { pass = \"{{ vars.pass }}\","),
        ("type = \"t3.small\"", "type = \"{{ vars.pass }}\""),
        ("count = 6", "count = \"{{ vars.pass }}\""),
        ("50GiB", "{{ vars.pass }}"),
        ("\"shop\"", "\"{{ vars.pass }}\""),
    ] {
        shop.write("evenkeel.toml", file.replacen(old, new, 1));
        for words in ["validate", "validate --format json", "validate --format github", "plan"] {
            keeps_it(shop.run_with(&env, words)).ends(1);
        }
    }
    shop.write("evenkeel.toml", &file);
    // A template that fails half-way, with the secret in hand.
    shop.write("boot.sh.j2", "{{ vars.pass }}{{ vars.pass | int }}{{ nothing.at.all }}");
    keeps_it(shop.run_with(&env, "plan -v")).ends(1);
    shop.write(
        "evenkeel.toml",
        file.replace("{ secret = true }", &format!("{{ secret = true, default = \"{CANARY}\" ")),
    );
    keeps_it(shop.run("validate")).ends(1);
}
