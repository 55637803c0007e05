//! `init`: a starter declaration. It asks nothing that it can guess.

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::path::Path;

use evenkeel_core::address::is_name;
use evenkeel_core::declaration::Format;
use evenkeel_core::declaration::starter::{STARTERS, stack_name, starter};
use evenkeel_present::json;
use evenkeel_present::redact::Redactor;

use crate::args::{self, Global};
use crate::exit::{Ends, Exit, Halt};
use crate::out::Out;
use crate::project::{beside, folder, path};

/// Characters of a stack id: no `0`, `1`, `l` or `o`, which people mistake for each other.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// `init`
pub fn run(global: &Global, args: &args::Init, out: &Out) -> Ends {
    let id = stack_id()?;
    if args.id {
        out.data(&format!("{id}\n"));
        return Ok(Exit::Fine);
    }
    let folder = folder(global);
    let name = match &args.name {
        Some(n) if is_name(n) => n.clone(),
        Some(n) => {
            return Err(Halt::new(
                Exit::Usage,
                format!("`{n}` is no name: lower-case letters, digits and `-`, at most 40, a letter first"),
            ));
        }
        None => {
            let full = folder.canonicalize().unwrap_or_else(|_| folder.clone());
            stack_name(&full.file_name().unwrap_or_default().to_string_lossy())
        }
    };
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let region = args.region.clone().or_else(|| set("AWS_REGION")).or_else(|| set("AWS_DEFAULT_REGION"));
    let region = region.unwrap_or_else(|| "us-east-1".into());
    if let Err(wrong) = Format::Region.check(&region) {
        return Err(Halt::new(Exit::Usage, format!("`{region}` is no region: {}", wrong.way_out)));
    }
    let chosen = STARTERS.iter().find(|s| s.name == args.template).expect("no other name is taken");
    std::fs::create_dir_all(&folder).map_err(|e| Halt::error(format!("cannot make {}: {e}", folder.display())))?;
    let main = path(global);
    let mut files = vec![(main.clone(), starter(chosen.text, &name, &id, &region))];
    files.extend(chosen.files.iter().map(|(name, text)| (beside(global, Path::new(name)), (*text).to_owned())));
    // All of them or none.
    if let Some((there, _)) = files.iter().find(|(path, _)| path.exists()) {
        return Err(taken(there));
    }
    for (path, text) in &files {
        create(path, text)?;
    }
    // For editors: the first line of the starter points to it. Whoever cannot have it has the rest all the same.
    let schema = folder.join(".evenkeel").join("schema.json");
    let text = json::pretty(&evenkeel_core::declaration::schema(), &Redactor::none());
    let own = folder.join(".evenkeel");
    let _ = std::fs::create_dir_all(&own)
        .and_then(|()| std::fs::write(schema, text))
        // What lies there is of use on this machine only.
        .and_then(|()| std::fs::write(own.join(".gitignore"), "*\n"));
    out.say(&format!("Wrote {}: stack {name} with id {id}.", main.display()));
    out.say("Next, on AWS:           evenkeel plan");
    out.say("or without an account:  evenkeel --sim world.toml plan   (a small cloud in a file)");
    Ok(Exit::Fine)
}

/// Never over something that is there.
fn create(path: &Path, text: &str) -> Result<(), Halt> {
    let made = OpenOptions::new().write(true).create_new(true).open(path);
    made.and_then(|mut f| f.write_all(text.as_bytes())).map_err(|e| match e.kind() {
        std::io::ErrorKind::AlreadyExists => taken(path),
        _ => Halt::error(format!("cannot write {}: {e}", path.display())),
    })
}

fn taken(path: &Path) -> Halt {
    Halt::error(format!("{} is there already and is left as it is; `-C` names another folder", path.display()))
}

/// Eight random characters: forty bits, from the system.
fn stack_id() -> Result<String, Halt> {
    let mut bytes = [0u8; 8];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut f| f.read_exact(&mut bytes))
        .map_err(|e| Halt::error(format!("no random numbers are to be had: {e}")))?;
    Ok(bytes.iter().map(|b| char::from(LETTERS[usize::from(*b) % LETTERS.len()])).collect())
}
