//! The real binary on the embedded sim, as a person or a script meets it: arguments in; words, files and an exit code
//! out.

mod place;

mod bad;
mod cluster;
mod codes;
#[cfg(feature = "aws")]
mod editors;
mod hostile;
mod outage;
mod rehearsal;
mod room;
mod saved;
mod second;
mod secrets;
mod signals;
mod small;
mod stacks;
mod story;
mod streams;
mod terminal;
