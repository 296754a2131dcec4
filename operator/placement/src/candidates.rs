//! The classes that a session may come from, in order.

use std::cmp::Reverse;

use crds::{BrowserClass, Reason};
use kube::ResourceExt;

use crate::{
    refusal::{Refusal, names_of, refuse},
    request::Request,
};

/// The named class alone, or all of this controller's: the default first, then by name.
pub(crate) fn candidates<'a>(
    request: &Request<'_>,
    classes: &'a [BrowserClass],
) -> Result<Vec<&'a BrowserClass>, Refusal> {
    let is_ours = |class: &&BrowserClass| {
        request.controller_name.is_none_or(|ours| class.spec.controller_name == ours)
    };
    let mut ours: Vec<&BrowserClass> = classes.iter().filter(is_ours).collect();
    ours.sort_by_key(|class| (Reverse(class.is_default()), class.name_any()));
    match &request.spec.class_name {
        None if ours.is_empty() => {
            let whose = request.controller_name.map(|ours| format!(" of controller {ours}"));
            refuse(
                Reason::ClassNotFound,
                "spec.className",
                format!("this cluster has no BrowserClass{}", whose.unwrap_or_default()),
            )
        }
        None => Ok(ours),
        Some(name) => match ours.iter().find(|class| class.name_any() == *name) {
            Some(class) => Ok(vec![class]),
            None => {
                let whose = named(name, classes)
                    .map(|class| {
                        format!(" of this controller, but one of {}", class.spec.controller_name)
                    })
                    .unwrap_or_default();
                let names = names_of(ours.iter().map(|class| class.name_any()));
                refuse(
                    Reason::ClassNotFound,
                    "spec.className",
                    format!("there is no BrowserClass {name:?}{whose}; there are: {names}"),
                )
            }
        },
    }
}

fn named<'a>(name: &str, classes: &'a [BrowserClass]) -> Option<&'a BrowserClass> {
    classes.iter().find(|class| class.name_any() == name)
}
