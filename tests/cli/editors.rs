//! The JSON Schema as editors read it: taplo (Even Better TOML) and Tombi find nothing wrong with good files and each slip
//! of a bad one. Both are in the lab's Python environment; without them these tests say so and are skipped.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::place::Place;
use crate::moto::lab;

/// A key that is none, and a number where a text belongs.
const BAD: &str =
    "[stack]\nname = \"a\"\nid = \"7f3kq2x9\"\n\n[machines.web]\ncuont = 3\nimage = \"ami-1\"\ntype = 3\n";

/// Where the schema of a declaration lies.
const SCHEMA: &str = ".evenkeel/schema.json";

/// A program of the lab; `None` (said aloud) where there is none to be had.
fn program(name: &str) -> Option<PathBuf> {
    let path = Path::new(&lab::python()?).with_file_name(name);
    if !path.exists() {
        let test = std::thread::current().name().unwrap_or_default().to_owned();
        println!("skipped: {test}: there is no {name} for this platform");
        return None;
    }
    Some(path)
}

/// Each starter, and the examples, by name.
fn good() -> Vec<(String, String)> {
    let starter = |template: &str| {
        let place = Place::empty();
        place.run(&format!("init --template {template} --name first")).ends(0);
        (template.to_owned(), place.read("evenkeel.toml"))
    };
    let mut all: Vec<_> = ["web", "quorum", "batch", "shop"].map(starter).into();
    for folder in std::fs::read_dir("examples").expect("it is there").flatten() {
        let file = folder.path().join("evenkeel.toml");
        all.extend(std::fs::read_to_string(&file).ok().map(|text| (file.display().to_string(), text)));
    }
    assert!(all.len() > 6, "{all:?}");
    all
}

/// Checks good and bad files with an editor's program.
fn checked(check: impl Fn(&Place, &str) -> Output) {
    let place = Place::empty();
    // Where the starters say that it is.
    std::fs::create_dir_all(place.path(".evenkeel")).expect("a folder");
    place.write(SCHEMA, place.run("schema").ends(0).out);
    let text = |o: &Output| format!("{}{}", String::from_utf8_lossy(&o.stdout), String::from_utf8_lossy(&o.stderr));
    for (name, declaration) in good() {
        let said = check(&place, &declaration);
        assert!(said.status.success(), "{name}: {}", text(&said));
    }
    let said = check(&place, BAD);
    let words = text(&said);
    assert!(!said.status.success() && words.contains("cuont") && words.contains("type"), "{words}");
}

#[test]
fn taplo_takes_the_good_files_and_finds_the_slips() {
    let Some(taplo) = program("taplo") else { return };
    checked(|place, declaration| {
        place.write("evenkeel.toml", declaration);
        let schema = format!("file://{}", place.path(SCHEMA).display());
        let file = place.path("evenkeel.toml");
        Command::new(&taplo).args(["check", "--schema", &schema]).arg(file).output().expect("it starts")
    });
}

#[test]
fn tombi_takes_the_good_files_and_finds_the_slips() {
    let Some(tombi) = program("tombi") else { return };
    checked(|place, declaration| {
        let names_it = declaration.starts_with("#:schema ");
        let first = if names_it { String::new() } else { format!("#:schema ./{SCHEMA}\n") };
        place.write("evenkeel.toml", format!("{first}{declaration}"));
        let folder = place.path("evenkeel.toml");
        let mut lint = Command::new(&tombi);
        lint.args(["lint", "--offline", "evenkeel.toml"]).current_dir(folder.parent().expect("a folder"));
        lint.env("NO_COLOR", "1").output().expect("it starts")
    });
}
