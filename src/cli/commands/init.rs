//! `init`: a starter declaration. It asks nothing that it can guess.

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::path::Path;

use evenkeel_core::address::is_name;
use evenkeel_core::declaration::starter;

use crate::args::{self, Global, Template};
use crate::exit::{Ends, Exit, Halt};
use crate::out::Out;
use crate::project::{folder, path};

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
        None => guessed(&folder),
    };
    let region = args
        .region
        .clone()
        .or_else(|| std::env::var("AWS_REGION").ok())
        .or_else(|| std::env::var("AWS_DEFAULT_REGION").ok());
    let region = region.unwrap_or_else(|| "us-east-1".into());
    let (template, script) = match args.template {
        Template::Web => (include_str!("../../../templates/web.toml"), true),
        Template::Quorum => (include_str!("../../../templates/quorum.toml"), false),
        Template::Batch => (include_str!("../../../templates/batch.toml"), false),
    };
    std::fs::create_dir_all(&folder).map_err(|e| Halt::error(format!("cannot make {}: {e}", folder.display())))?;
    let main = path(global);
    create(&main, &starter(template, &name, &id, &region))?;
    if script {
        create(&folder.join("boot.sh.j2"), include_str!("../../../templates/user-data/boot.sh.j2"))?;
    }
    out.say(&format!("Wrote {}: stack {name} with id {id}.", main.display()));
    out.say("Next, without an account:  evenkeel --sim world.toml plan");
    out.say("Or on AWS:                 evenkeel plan");
    Ok(Exit::Fine)
}

/// Never over something that is there.
fn create(path: &Path, text: &str) -> Result<(), Halt> {
    let made = OpenOptions::new().write(true).create_new(true).open(path);
    made.and_then(|mut f| f.write_all(text.as_bytes())).map_err(|e| match e.kind() {
        std::io::ErrorKind::AlreadyExists => {
            Halt::error(format!("{} is there already and is left as it is; `-f` names another", path.display()))
        }
        _ => Halt::error(format!("cannot write {}: {e}", path.display())),
    })
}

/// The folder's name, made to fit.
fn guessed(folder: &Path) -> String {
    let full = folder.canonicalize().unwrap_or_else(|_| folder.to_path_buf());
    let name = full.file_name().map(|n| n.to_string_lossy().to_lowercase()).unwrap_or_default();
    let mut fit: String =
        name.chars().map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' }).collect();
    fit = fit.trim_matches(|c: char| !c.is_ascii_lowercase()).to_owned();
    fit.truncate(40);
    if is_name(&fit) { fit } else { "stack".into() }
}

/// Eight random characters: forty bits, from the system.
fn stack_id() -> Result<String, Halt> {
    let mut bytes = [0u8; 8];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut f| f.read_exact(&mut bytes))
        .map_err(|e| Halt::error(format!("no random numbers are to be had: {e}")))?;
    Ok(bytes.iter().map(|b| char::from(LETTERS[usize::from(*b) % LETTERS.len()])).collect())
}
