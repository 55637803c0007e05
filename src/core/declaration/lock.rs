//! `[lock]`: how two runs at once exclude each other.

use super::format::Format;
use super::keys::{Block, Shape, key};
use super::reader::Reader;
use crate::desired::{Lock, LockKind};

/// `[lock]`.
pub static LOCK: Block = Block {
    title: "[lock]",
    about: "One run acts at a time. The lock is held by the kernel, so a killed holder costs nothing.",
    keys: &[
        key(
            "kind",
            Shape::Word(&["file", "none"]),
            "What holds the lock; with `none` runs act at the same time, and each says so.",
        )
        .default("\"file\"")
        .example("\"none\""),
        key("path", Shape::Text(Format::Any), "Where the lock file stands.")
            .default("`.evenkeel/<id>.lock` beside the declaration")
            .example("\"/var/lock/shop.lock\""),
        key("wait", Shape::Time, "How long to wait for it.").default("\"1m\"").example("\"5m\"").unit("time"),
    ],
    others: None,
    later: &["lease", "call-timeout", "settle"],
};

/// Reads `[lock]`.
pub fn read(r: Option<&Reader<'_>>) -> Lock {
    let Some(r) = r else { return Lock::default() };
    let kind = match r.text("kind").as_deref() {
        Some("none") => LockKind::None,
        Some(_) | None => LockKind::File,
    };
    Lock { kind, path: r.text("path"), wait: r.seconds("wait").unwrap_or(Lock::default().wait) }
}
