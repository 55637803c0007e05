//! No room on the disk: one clear error, no half a file under a plan's name, nothing begun that no journal tells of, and
//! a run with room ends it.

use std::path::{Path, PathBuf};
use std::process::Command;

use evenkeel_core::event::{Event, Happened};

use super::fixture::{STACK, Scene, code, full, table};
use crate::laws::crash::journeys_of_machines;
use crate::laws::harness::story;
use crate::wire::place::{Place, Said, done};

/// Six machines with a volume each, and nothing there yet.
fn scene() -> Scene {
    let journey = journeys_of_machines().find(|j| j.name == "create").expect("there is such a journey");
    Scene::of(story(journey.begin(0)), &journey.after)
}

/// The program as a script's `"$0" "$@"`.
fn scripted(place: &Place, script: &str, words: &str) -> Command {
    let inner = place.command(words);
    let mut outer = Command::new("/bin/sh");
    outer.arg("-c").arg(script).arg(inner.get_program()).args(inner.get_args()).env_clear();
    outer.current_dir(place.folder());
    outer.envs(inner.get_envs().filter_map(|(key, value)| Some((key, value?))));
    outer
}

/// Runs the program where no file may be longer than so many blocks of 512 bytes. What is beyond is refused as by a
/// full disk: the signal that comes with it is ignored, as by every program that is not to die of it.
fn cramped(place: &Place, blocks: usize, words: &str) -> Said {
    done(&mut scripted(place, &format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\""), words))
}

/// Everything under the folder, by name.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            all.extend(files(&path));
        } else {
            all.push(path);
        }
    }
    all.sort();
    all
}

/// Temporary files that nobody took away.
fn litter(folder: &Path) -> Vec<PathBuf> {
    let odd = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.starts_with(".tmp") || name.starts_with(".evenkeel-plan-")
    };
    files(folder).into_iter().filter(odd).collect()
}

/// Exactly one error, and it says what the trouble is.
#[track_caller]
fn one_error(said: &Said, about: &str) {
    let errors: Vec<&str> = said.err.lines().filter(|line| line.starts_with("error")).collect();
    assert!(errors.len() == 1 && errors[0].contains(about), "{about:?}: {said}");
    assert!(!said.err.contains("panicked"), "{said}");
}

/// Call steps that journals say were begun, all runs together.
fn announced(place: &Place) -> usize {
    let folder = place.folder().join(".evenkeel").join(STACK).join("journal");
    let Ok(journals) = std::fs::read_dir(folder) else { return 0 };
    let text = |entry: std::io::Result<std::fs::DirEntry>| std::fs::read_to_string(entry.ok()?.path()).ok();
    let lines = journals.filter_map(text).flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>());
    let events = lines.filter_map(|line| serde_json::from_str::<Event>(&line).ok());
    events.filter(|event| matches!(event.happened, Happened::Started { .. })).count()
}

#[test]
fn a_plan_that_finds_no_room_leaves_what_stood_there() {
    let scene = scene();
    let plan = scene.place.folder().join("p");
    scene.place.run("plan -o p").ends(0);
    let old = std::fs::read(&plan).expect("it is saved");
    let enough = old.len().div_ceil(512);
    let some = [0, 1, enough / 2, enough - 1];
    for stood in [false, true] {
        for blocks in if full() { (0..enough).collect() } else { some.to_vec() } {
            if !stood {
                let _ = std::fs::remove_file(&plan);
            }
            let said = cramped(&scene.place, blocks, "plan -o p").ends(1);
            one_error(&said, "cannot use the plan file");
            assert_eq!(std::fs::read(&plan).ok(), stood.then(|| old.clone()), "{blocks} blocks of {enough}");
            assert_eq!(litter(scene.place.folder()), [] as [PathBuf; 0], "{blocks} blocks");
        }
        std::fs::write(&plan, &old).expect("there is room");
    }
    // A device has no room of another kind, and a rename would take its place.
    let said = scene.place.run("plan -o /dev/full").ends(1);
    one_error(&said, "/dev/full");
    assert_eq!(scene.changes().len(), 0);
    scene.place.run("plan -o p").ends(0);
    scene.place.run("apply p").ends(0);
    scene.is_sound();
}

#[test]
fn an_apply_that_finds_no_room_begins_nothing_that_its_journal_does_not_tell() {
    let mut rows = Vec::new();
    let some = [0, 1, 2, 4, 6, 9];
    for blocks in if full() { (0..24).collect() } else { some.to_vec() } {
        let scene = scene();
        let said = cramped(&scene.place, blocks, "apply --yes");
        let (sent, told) = (scene.changes().len(), announced(&scene.place));
        // Steps that only wait are told of, too; a call that is tried again is sent twice.
        assert!(sent <= told, "{blocks} blocks: {sent} calls, {told} announced: {said}");
        assert_eq!(litter(scene.place.folder()), [] as [PathBuf; 0], "{blocks} blocks");
        match said.code {
            Some(0) => {}
            Some(75) => one_error(&said, "cannot use the lock file"),
            Some(1 | 7) => one_error(&said, "journal"),
            _ => panic!("{blocks} blocks: {said}"),
        }
        let launched = scene.launched();
        let runs = scene.settles(3);
        scene.is_sound();
        assert_eq!(scene.launched(), 6, "{blocks} blocks: nothing twice");
        rows.push(
            [blocks * 512, sent, told, launched, runs]
                .map(|n| n.to_string())
                .into_iter()
                .chain([code(&said)])
                .collect::<Vec<_>>(),
        );
    }
    let rows: Vec<[String; 6]> = rows.into_iter().map(|row| row.try_into().expect("six cells")).collect();
    let head = ["bytes a file", "calls sent", "steps announced", "machines", "runs after it", "exit"];
    println!("{}", table("apply with no room for its files", head, &rows));
}

/// A disk of its own, where the system lets us have one.
#[test]
fn on_a_disk_that_is_full_everything_says_so_and_goes_on_when_there_is_room() {
    let scene = scene();
    let script = r#"
        mkdir disk && mount -t tmpfs -o size=256k,mode=700 none disk || exit 99
        cp evenkeel.toml disk && cd disk && cat /dev/zero > filler 2>/dev/null
        "$0" plan -o p >&2; echo "plan $?"
        "$0" apply --yes >&2; echo "apply $?"
        ls -A | tr '\n' ' '; echo
        rm filler
        "$0" plan -o p >&2; echo "plan $?"
        "$0" apply p >&2; echo "apply $?"
        "$0" plan --exit-code >&2; echo "plan $?"
    "#;
    // A mount of our own needs a namespace of our own.
    let mut outer = Command::new("unshare");
    let inner = scripted(&scene.place, script, "");
    outer.args(["--user", "--map-root-user", "--mount"]).arg(inner.get_program()).args(inner.get_args()).env_clear();
    outer.current_dir(scene.place.folder()).env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin");
    outer.envs(inner.get_envs().filter_map(|(key, value)| Some((key, value?))));
    let allowed = outer.output();
    let said = match allowed {
        Ok(output) if output.status.success() => output,
        Ok(output) => return skipped(&String::from_utf8_lossy(&output.stderr)),
        Err(e) => return skipped(&e.to_string()),
    };
    let (out, err) = (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    let lines: Vec<&str> = out.lines().collect();
    let whole = format!("--- stdout\n{out}\n--- stderr\n{err}");
    assert_eq!(lines[..2], ["plan 1", "apply 75"], "{whole}");
    assert!(!lines[2].split(' ').any(|name| name == "p" || name.starts_with(".evenkeel-plan")), "{whole}");
    assert_eq!(lines[3..], ["plan 0", "apply 0", "plan 0"], "{whole}");
    let full: Vec<&str> = err.lines().filter(|line| line.starts_with("error")).collect();
    assert!(full.len() == 2 && full.iter().all(|line| line.contains("No space left")), "{whole}");
    scene.is_sound();
    assert_eq!(scene.launched(), 6);
}

fn skipped(why: &str) {
    let why = why.lines().next().unwrap_or("no reason");
    println!("skipped: sweep::disk::on_a_disk_that_is_full_everything_says_so_and_goes_on_when_there_is_room: {why}");
}
