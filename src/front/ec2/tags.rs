//! Tags: `CreateTags`, `DeleteTags`, and how they stand in requests and answers.

use evenkeel_core::failure::Failure;
use evenkeel_ec2::api::Tags;
use evenkeel_sim::request::Request;

use super::Call;
use crate::form::{Form, refuse};
use crate::xml::Xml;

/// `<tagSet>`.
pub(super) fn set(x: &mut Xml, tags: &Tags) {
    if tags.is_empty() {
        return;
    }
    x.list("tagSet", tags, |x, (key, value)| {
        x.text("key", key);
        x.text("value", value);
    });
}

/// `TagSpecification.N`: the tags of each of these kinds, in their order.
pub(super) fn specified<const N: usize>(form: &mut Form, kinds: [&str; N]) -> Result<[Tags; N], Failure> {
    let mut all = kinds.map(|_| None);
    for mut spec in form.parts("TagSpecification") {
        let kind = spec.need("ResourceType")?;
        let tags = spec.tags()?;
        spec.end()?;
        let Some(place) = kinds.iter().position(|k| *k == kind) else {
            return refuse("InvalidParameterValue", format!("'{kind}' is not a valid taggable resource type here."));
        };
        if tags.is_empty() {
            return refuse("InvalidParameterValue", "Tag specification must have at least one tag.");
        }
        if all[place].replace(tags).is_some() {
            return refuse("InvalidParameterValue", format!("The same resource type '{kind}' is specified twice."));
        }
    }
    Ok(all.map(Option::unwrap_or_default))
}

impl Call<'_> {
    pub(super) async fn create_tags(&self, mut form: Form) -> Result<String, Failure> {
        let request = Request::SetTags { ids: form.list("ResourceId"), tags: form.tags()? };
        form.end()?;
        self.wire.change(&request, |_, _| self.done()).await
    }

    pub(super) async fn delete_tags(&self, mut form: Form) -> Result<String, Failure> {
        let ids = form.list("ResourceId");
        let mut tags = Vec::new();
        for mut tag in form.parts("Tag") {
            tags.push((tag.need("Key")?, tag.take("Value")));
            tag.end()?;
        }
        form.end()?;
        self.wire.change(&Request::UnsetTagsLike { ids, tags }, |_, _| self.done()).await
    }
}
