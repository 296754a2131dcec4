//! `house tour`: the files and functions that CONTRIBUTING.md and README.md name exist.
//!
//! A backticked `path/to/file.rs`, from the repository's root, must exist; `path/to/file.rs::name` and
//! `path/to/file.rs::Type::name` must be defined in that file.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use syn::visit::{self, Visit};

use crate::packages::workspace;

const DOCUMENTS: [&str; 2] = ["CONTRIBUTING.md", "README.md"];

/// Prints what is named and does not exist. Returns whether there is nothing of the kind.
pub fn run() -> Result<bool> {
    let root = workspace()?.workspace_root;
    let mut clean = true;
    for document in DOCUMENTS {
        let text = std::fs::read_to_string(root.join(document))
            .with_context(|| format!("read {document}"))?;
        let read = |path: &str| std::fs::read_to_string(root.join(path)).ok();
        for (line, problem) in problems(&text, &|path| root.join(path).exists(), &read)? {
            println!("{document}:{line}: {problem}");
            clean = false;
        }
    }
    Ok(clean)
}

type Read<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Line and text of each problem.
fn problems(text: &str, exists: &dyn Fn(&str) -> bool, read: Read) -> Result<Vec<(usize, String)>> {
    let mut problems = Vec::new();
    let mut named = 0;
    for (line, span) in backticked(text) {
        let Some((path, name)) = reference(span, exists) else { continue };
        named += 1;
        if !exists(path) {
            problems.push((line, format!("there is no {path}")));
        } else if let Some(name) = name {
            let source = read(path).with_context(|| format!("read {path}"))?;
            let parsed = syn::parse_file(&source).with_context(|| format!("parse {path}"))?;
            if !definitions(&parsed).contains(name) {
                problems.push((line, format!("{path} does not define {name}")));
            }
        }
    }
    ensure!(named > 0, "no file is named");
    Ok(problems)
}

/// Line and content of what stands between single backticks, outside of code blocks.
fn backticked(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut in_block = false;
    text.lines().zip(1..).flat_map(move |(line, number)| {
        let is_fence = line.trim_start().starts_with("```");
        in_block ^= is_fence;
        let spans = if in_block || is_fence { "" } else { line };
        spans.split('`').skip(1).step_by(2).map(move |span| (number, span))
    })
}

/// The path and the name within it, where a span is such a reference: a Rust file, or what begins with a folder of ours.
fn reference<'a>(
    span: &'a str,
    exists: &dyn Fn(&str) -> bool,
) -> Option<(&'a str, Option<&'a str>)> {
    let (path, name) = match span.split_once("::") {
        Some((path, name)) => (path, Some(name)),
        None => (span, None),
    };
    let (folder, _) = path.split_once('/')?;
    let is_path = path.chars().all(|c| c.is_ascii_alphanumeric() || "/_-.".contains(c));
    let is_ours = path.ends_with(".rs") || (!folder.is_empty() && exists(folder) && name.is_none());
    (is_path && is_ours).then_some((path, name))
}

/// What a file defines: `name` of items, and `Type::name` of what is in their impls and traits.
fn definitions(file: &syn::File) -> BTreeSet<String> {
    let mut definitions = Definitions { owner: None, names: BTreeSet::new() };
    definitions.visit_file(file);
    definitions.names
}

struct Definitions {
    owner: Option<String>,
    names: BTreeSet<String>,
}

impl Definitions {
    fn define(&mut self, name: &syn::Ident) {
        self.names.insert(match &self.owner {
            Some(owner) => format!("{owner}::{name}"),
            None => name.to_string(),
        });
    }

    fn within(&mut self, owner: Option<String>, visit: impl FnOnce(&mut Self)) {
        let around = std::mem::replace(&mut self.owner, owner);
        visit(self);
        self.owner = around;
    }
}

impl<'ast> Visit<'ast> for Definitions {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if let Some(name) = crate::tree::ident(item) {
            self.define(name);
        }
        visit::visit_item(self, item);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let owner = match &*item.self_ty {
            syn::Type::Path(path) => path.path.segments.last().map(|last| last.ident.to_string()),
            _ => None,
        };
        self.within(owner, |this| visit::visit_item_impl(this, item));
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.within(Some(item.ident.to_string()), |this| visit::visit_item_trait(this, item));
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.define(&item.sig.ident);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        self.define(&item.sig.ident);
    }

    /// What a function defines within itself has no name outside.
    fn visit_block(&mut self, _: &'ast syn::Block) {}
}

/// Whether the documents of this repository hold is checked by `house tour`; here, that it sees what does not.
#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "pub fn run() { fn inner() {} }\nstruct Pod;\nimpl Pod { fn name(&self) {} }\n\
        impl<T> Drop for Guard<T> { fn drop(&mut self) {} }\ntrait Clock { fn now(&self); }\nmod inline { pub const LIMIT: u8 = 1; }";

    fn problems_of(text: &str) -> Vec<(usize, String)> {
        let exists =
            |path: &str| ["operator", "operator/a.rs", "e2e", "e2e/run.sh"].contains(&path);
        let read = |path: &str| (path == "operator/a.rs").then(|| SOURCE.to_owned());
        problems(text, &exists, &read).expect("the source parses")
    }

    #[test]
    fn what_exists_is_no_problem() {
        for name in
            ["", "::run", "::Pod", "::Pod::name", "::Guard::drop", "::Clock::now", "::LIMIT"]
        {
            assert_eq!(problems_of(&format!("See `operator/a.rs{name}`.")), [], "{name}");
        }
        let other = "`POST /session`, `application/json`, `e2e/run.sh`, `crds::Reason`\n```\n`operator/b.rs`\n```";
        assert_eq!(problems_of(other), []);
    }

    #[test]
    fn what_does_not_exist_is_told_with_its_line() {
        for (span, problem) in [
            ("operator/b.rs", "there is no operator/b.rs"),
            ("nowhere/a.rs::run", "there is no nowhere/a.rs"),
            ("e2e/stop.sh", "there is no e2e/stop.sh"),
            ("operator/a.rs::walk", "operator/a.rs does not define walk"),
            ("operator/a.rs::inner", "operator/a.rs does not define inner"),
            ("operator/a.rs::Pod::run", "operator/a.rs does not define Pod::run"),
        ] {
            assert_eq!(problems_of(&format!("A tour:\n1. `{span}`")), [(2, problem.to_owned())]);
        }
    }

    #[test]
    fn a_document_that_names_nothing_is_an_error() {
        assert!(problems("No `files`.", &|_| false, &|_| None).is_err());
    }
}
