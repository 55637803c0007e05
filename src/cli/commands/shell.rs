//! `completions` and `man`: made from the command line's own definition.

use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::args::Args;
use crate::exit::{Ends, Exit, Halt};
use crate::out::Out;

/// `completions`
pub fn completions(shell: Shell, out: &Out) -> Ends {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "evenkeel", &mut text);
    out.data(&String::from_utf8_lossy(&text));
    Ok(Exit::Fine)
}

/// `man`
pub fn man(dir: Option<&Path>, out: &Out) -> Ends {
    match dir {
        Some(dir) => {
            std::fs::create_dir_all(dir)
                .and_then(|()| clap_mangen::generate_to(Args::command(), dir))
                .map_err(|e| Halt::error(format!("cannot write into {}: {e}", dir.display())))?;
            out.say(&format!("Written to {}", dir.display()));
        }
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Args::command())
                .render(&mut page)
                .map_err(|e| Halt::error(format!("cannot make the page: {e}")))?;
            out.data(&String::from_utf8_lossy(&page));
        }
    }
    Ok(Exit::Fine)
}
