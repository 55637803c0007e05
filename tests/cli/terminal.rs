//! A person at a terminal: evenkeel asks, the world may move, and only then is it answered.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::process::Child;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use super::place::{Place, TRIO};

/// Whoever waits for a word for so long has found that it does not come.
const PATIENCE: Duration = Duration::from_secs(60);

/// The program on a terminal of its own.
struct Terminal {
    child: Child,
    keys: File,
    shown: Receiver<Vec<u8>>,
    /// All that was shown since the last answer.
    text: String,
}

impl Terminal {
    fn run(place: &Place, words: &str) -> Self {
        let keys = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&keys).and_then(|()| unlockpt(&keys)).expect("it is ours");
        let name = ptsname(&keys, Vec::new()).expect("it has a name").into_string().expect("UTF-8");
        let screen = || OpenOptions::new().read(true).write(true).open(&name).expect("its other end");
        let mut command = place.command();
        command.args(words.split_whitespace()).stdin(screen()).stdout(screen()).stderr(screen());
        let child = command.spawn().expect("the program starts");
        // Only the program holds the other end now: it goes with it.
        drop(command);
        let keys = File::from(keys);
        let mut glass = keys.try_clone().expect("it can be read");
        let (tell, shown) = channel();
        std::thread::spawn(move || {
            let mut some = [0; 4096];
            while let Ok(n @ 1..) = glass.read(&mut some) {
                if tell.send(some[..n].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { child, keys, shown, text: String::new() }
    }

    /// Waits until this is shown.
    #[track_caller]
    fn shows(&mut self, words: &str) -> &mut Self {
        while !self.text.contains(words) {
            match self.shown.recv_timeout(PATIENCE) {
                Ok(more) => self.text.push_str(&String::from_utf8_lossy(&more)),
                Err(_) => panic!("the terminal does not show {words:?}\n{}", self.text),
            }
        }
        self
    }

    /// Types a line.
    fn answer(&mut self, line: &str) {
        self.text.clear();
        self.keys.write_all(format!("{line}\n").as_bytes()).expect("it takes keys");
    }

    /// How it ends, and what it showed since the last answer.
    #[track_caller]
    fn end(mut self) -> (Option<i32>, String) {
        loop {
            match self.shown.recv_timeout(PATIENCE) {
                Ok(more) => self.text.push_str(&String::from_utf8_lossy(&more)),
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => break,
                Err(std::sync::mpsc::RecvTimeoutError::Timeout) => panic!("it does not end\n{}", self.text),
            }
        }
        let code = self.child.wait().expect("it is our child").code();
        (code, std::mem::take(&mut self.text))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Whoever failed leaves nobody behind who waits for an answer.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What `apply` asks.
const QUESTION: &str = "[y/N]";

#[test]
fn no_is_the_answer_to_anything_but_yes() {
    let trio = Place::with(TRIO);
    let mut asked = Terminal::run(&trio, "apply");
    asked.shows("3 to add").shows(QUESTION).answer("maybe");
    let (code, text) = asked.end();
    assert!(code == Some(1) && text.contains("nothing was changed"), "{text}");
    trio.run("plan --exit-code").ends(2);
}

#[test]
fn what_moved_while_the_question_stood_is_not_acted_upon() {
    let trio = Place::applied(TRIO);
    trio.edit("count = 3", "count = 3\ntags = { team = \"payments\" }");
    let mut asked = Terminal::run(&trio, "apply");
    asked.shows("3 to change").shows(QUESTION);
    trio.run("sim kill node/1").ends(0);
    asked.answer("y");
    let (code, text) = asked.end();
    assert!(code == Some(7) && text.contains("refused") && text.contains("node/1"), "{text}");
    trio.run("plan --exit-code").ends(3).shows("1 to add").shows("0 to change");
}

#[test]
fn what_somebody_else_did_while_the_question_stood_is_done() {
    let trio = Place::applied(TRIO);
    let mut asked = Terminal::run(&trio, "destroy");
    asked.shows("3 to destroy").shows("trio");
    trio.run("sim kill node/0 node/1 node/2").ends(0);
    asked.answer("trio");
    let (code, text) = asked.end();
    assert!(code == Some(0) && text.contains("refused") && text.contains("Converged"), "{text}");
}

/// Three machines in the file with another type, of which one is ill: it is replaced first, and the two others may be
/// stopped only when it is back. Stands at the second question.
fn at_the_second_question(trio: &Place) -> Terminal {
    trio.run("sim impair node/0 --ago 30m").ends(0);
    trio.edit("t3.small", "m5.large");
    let mut asked = Terminal::run(trio, "apply");
    asked.shows("held").shows(QUESTION).answer("y");
    asked.shows("What was held back for others may go on now").shows("2 to change").shows(QUESTION);
    asked
}

#[test]
fn what_moved_while_a_later_question_stood_is_not_acted_upon_nor_what_waits_for_it() {
    let trio = Place::applied(&format!("{TRIO}\n[policy]\nmax-unavailable = 1\n"));
    let mut asked = at_the_second_question(&trio);
    trio.run("sim kill node/1").ends(0);
    asked.answer("y");
    let (code, text) = asked.end();
    assert!(code == Some(7) && text.contains("refused") && text.contains("node/1"), "{text}");
    trio.run("plan").ends(0).shows("+ node/1").shows("~ node/2").shows("waits for others to be ready");
}

#[test]
fn a_later_plan_that_is_refused_as_a_whole_leaves_the_run_done_in_part() {
    let trio = Place::applied(&format!("{TRIO}\n[policy]\nmax-unavailable = 1\n"));
    let mut asked = at_the_second_question(&trio);
    trio.run("sim kill node/1 node/2").ends(0);
    asked.answer("y");
    let (code, text) = asked.end();
    assert!(text.contains("refused") && text.contains("Nothing applied"), "{text}");
    assert_eq!(code, Some(7), "an earlier round has replaced one: {text}");
    // Alone the same plan would be stale.
    let other = Place::applied(TRIO);
    other.edit("count = 3", "count = 3\ntags = { team = \"payments\" }");
    let mut asked = Terminal::run(&other, "apply");
    asked.shows(QUESTION);
    other.run("sim kill node/0 node/1 node/2").ends(0);
    asked.answer("y");
    let (code, text) = asked.end();
    assert_eq!(code, Some(5), "{text}");
}
