//! The classes that a session may come from, in order.

use std::cmp::Reverse;

use crds::{BrowserClass, BrowserSessionSpec, Reason};
use kube::ResourceExt;

use crate::refusal::{Refusal, names_of, refuse};

/// The named class alone, or all: the default first, then by name.
pub(crate) fn candidates<'a>(
    spec: &BrowserSessionSpec,
    classes: &'a [BrowserClass],
) -> Result<Vec<&'a BrowserClass>, Refusal> {
    let mut all: Vec<&BrowserClass> = classes.iter().collect();
    all.sort_by_key(|class| (Reverse(class.is_default()), class.name_any()));
    let names = || names_of(all.iter().map(|class| class.name_any()));
    match &spec.class_name {
        None if all.is_empty() => {
            refuse(Reason::ClassNotFound, "spec.className", "this cluster has no BrowserClass")
        }
        None => Ok(all),
        Some(name) => match all.iter().find(|class| class.name_any() == *name) {
            Some(class) => Ok(vec![class]),
            None => refuse(
                Reason::ClassNotFound,
                "spec.className",
                format!("there is no BrowserClass {name:?}; there are: {}", names()),
            ),
        },
    }
}
