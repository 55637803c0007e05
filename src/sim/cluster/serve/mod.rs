//! The API server's verbs on a cluster, as plain functions.

mod delete;
mod evict;
mod read;
mod write;

pub(super) use self::delete::Asked;
pub(super) use self::read::{expired, first_page};
pub(super) use self::write::{By, merge_patch};
