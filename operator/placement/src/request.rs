//! Who asks for what.

use std::collections::BTreeMap;

use crds::BrowserSessionSpec;

/// A session that is to be placed.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub spec: &'a BrowserSessionSpec,
    pub namespace: Namespace<'a>,
    /// The `controllerName` of the classes that count. `None`: all that are given do.
    pub controller_name: Option<&'a str>,
}

/// The session's namespace.
#[derive(Clone, Copy, Debug)]
pub struct Namespace<'a> {
    pub name: &'a str,
    /// Its labels; `None` while they are not known: then it has only that of its name.
    pub labels: Option<&'a BTreeMap<String, String>>,
}
