//! The controllers.

use jiff::Timestamp;

use crate::world::World;

use super::{Kube, Moment};

impl World {
    pub(crate) fn settle_clusters(&mut self, _now: Timestamp) {}
}

impl Kube {
    pub(super) fn add_node(&mut self, _name: &str, _zone: &str, _provider: &str, _m: Moment) {}

    pub(super) fn crash_log(&self, image: &str) -> Option<&str> {
        self.crashing_images.get(image).map(String::as_str)
    }
}
