//! The region that a session runs in.

use crds::{BrowserClass, BrowserSessionSpec, Reason, Region};
use kube::ResourceExt;

use crate::refusal::{Refusal, names_of, refuse};

pub(crate) fn region<'a>(
    spec: &BrowserSessionSpec,
    class: &'a BrowserClass,
) -> Result<Option<&'a Region>, Refusal> {
    let regions = &class.spec.regions;
    let wanted = spec.region.as_ref().or(class.spec.default_region.as_ref());
    match wanted {
        None => Ok(regions.first()),
        Some(name) => match regions.iter().find(|region| region.name == *name) {
            Some(region) => Ok(Some(region)),
            None => {
                let have = if regions.is_empty() {
                    "none: leave it out".to_owned()
                } else {
                    names_of(regions.iter().map(|region| region.name.clone()))
                };
                refuse(
                    Reason::RegionNotFound,
                    "spec.region",
                    format!("class {} has no region {name:?}; it has: {have}", class.name_any()),
                )
            }
        },
    }
}
