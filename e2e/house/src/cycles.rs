//! `house cycles`: no file imports another in a circle, within any crate.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Result, ensure};

use crate::graph::{Graph, components, shortest_circle};
use crate::packages::workspace;
use crate::references::references;
use crate::tree::{Read, Tree};

/// Prints the circles of the packages (of all, if none is named). Returns whether there are none.
pub fn run(wanted: &[String], all: bool) -> Result<bool> {
    let workspace = workspace()?;
    for name in wanted {
        ensure!(workspace.packages.iter().any(|p| p.name == *name), "there is no package {name}");
    }
    let mut clean = true;
    for package in &workspace.packages {
        if !wanted.is_empty() && !wanted.contains(&package.name) {
            continue;
        }
        for target in &package.targets {
            let circles = circles(
                &|path| std::fs::read_to_string(path).ok(),
                &target.src_path,
                &workspace.workspace_root,
                all,
            )?;
            if !circles.is_empty() {
                println!("{} ({} {}):", package.name, target.kind.join(", "), target.name);
                println!("{}", circles.join("\n"));
                clean = false;
            }
        }
    }
    Ok(clean)
}

/// A description of each group of files that import each other.
fn circles(read: Read, root_file: &Path, base: &Path, all: bool) -> Result<Vec<String>> {
    let tree = Tree::parse(root_file, read)?;
    let references = references(&tree);
    let mut graph = Graph::new();
    for (from, to) in references.keys() {
        graph.entry(*from).or_default().insert(*to);
    }
    let name =
        |file: usize| tree.files[file].strip_prefix(base).unwrap_or(&tree.files[file]).display();
    let describe = |from: usize, to: usize, places: usize| {
        let mut seen = BTreeSet::new();
        references[&(from, to)]
            .iter()
            .filter(|place| seen.insert(place.path.rsplit("::").next()))
            .take(places)
            .map(|place| {
                format!("    {}:{} -> {} ({})", name(from), place.line, place.path, name(to))
            })
            .collect::<Vec<_>>()
            .join("\n")
    };
    Ok(components(&graph)
        .iter()
        .map(|component| {
            let mut lines =
                vec![format!("  {} files reach each other, the shortest way:", component.len())];
            if all {
                lines = vec![format!("  {} files reach each other:", component.len())];
                let within = |(from, to): &(usize, usize)| {
                    component.contains(from) && component.contains(to)
                };
                let edges = references.keys().copied().filter(within);
                lines.extend(edges.map(|(from, to)| describe(from, to, usize::MAX)));
            } else {
                let circle = shortest_circle(&graph, component);
                let next = circle.iter().cycle().skip(1);
                lines.extend(circle.iter().zip(next).map(|(from, to)| describe(*from, *to, 1)));
            }
            lines.join("\n")
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The circles of a crate of these files; lib.rs is its root.
    fn circles_of(files: &[(&str, &str)]) -> Vec<String> {
        let read = |path: &Path| {
            let found = files.iter().find(|(name, _)| Path::new("/src").join(name) == path);
            found.map(|(_, text)| (*text).to_owned())
        };
        circles(&read, Path::new("/src/lib.rs"), Path::new("/src"), false).expect("the files parse")
    }

    fn circle_of(files: &[(&str, &str)]) -> String {
        let found = circles_of(files);
        assert_eq!(found.len(), 1, "{found:?}");
        found[0].clone()
    }

    #[test]
    fn siblings_that_use_each_other_are_found() {
        let found = circle_of(&[
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "use crate::b::B;\npub struct A(B);"),
            ("b.rs", "pub struct B;\nimpl B { fn a(&self) -> Option<super::a::A> { None } }"),
        ]);
        assert_eq!(
            found,
            "  2 files reach each other, the shortest way:\n    \
             a.rs:1 -> crate::b::B (b.rs)\n    b.rs:2 -> super::a::A (a.rs)"
        );
    }

    #[test]
    fn a_parent_and_a_child_that_use_each_other_are_found() {
        for child in
            ["use super::Limit;", "fn f(_: super::Limit) {}", "use super::*; fn f(_: Limit) {}"]
        {
            let found = circle_of(&[
                ("lib.rs", "mod parent;"),
                ("parent/mod.rs", "mod child;\npub struct Limit;\nfn f() { child::f() }"),
                ("parent/child.rs", child),
            ]);
            assert!(
                found.contains("parent/mod.rs:3 -> child::f (parent/child.rs)"),
                "{child}: {found}"
            );
        }
    }

    #[test]
    fn a_circle_through_a_reexport_is_found_where_things_are_defined() {
        for facade in
            ["pub use b::B;", "pub use b::*;", "pub use b::B as Renamed; pub use self::b::B;"]
        {
            let found = circle_of(&[
                ("lib.rs", "mod a; mod facade;"),
                ("a.rs", "pub fn a(_: crate::facade::B) {}"),
                ("facade/mod.rs", &format!("mod b; {facade}")),
                ("facade/b.rs", "use crate::a::a; pub struct B;"),
            ]);
            assert!(
                found.contains("a.rs:1 -> crate::facade::B (facade/b.rs)"),
                "{facade}: {found}"
            );
        }
    }

    #[test]
    fn modules_in_scope_macros_and_attributes_are_seen() {
        for a in [
            "use crate::b; fn f() { b::g() }",
            "fn f() { use crate::b as other; other::g(); }",
            "fn f() { println!(\"{}\", crate::b::g()) }",
            "use crate::b; fn f() { assert_eq!(b::g(), ()) }",
            "fn f() { crate::b::twice!(1) }",
            "#[derive(Deserialize)] struct S { #[serde(default = \"crate::b::g\")] s: () }",
            "mod inline { fn f() { super::super::b::g() } }",
            "macro_rules! m { () => { $crate::b::g() } }",
            "impl crate::b::Trait for u8 {}",
        ] {
            circle_of(&[
                ("lib.rs", "mod a; mod b;"),
                ("a.rs", &format!("{a}\npub struct A;")),
                (
                    "b.rs",
                    "pub fn g(_: crate::a::A) {} pub trait Trait {} macro_rules! twice { ($x:expr) => { $x } }\n\
                     pub(crate) use twice;",
                ),
            ]);
        }
    }

    #[test]
    fn facades_declarations_tests_and_one_way_imports_are_no_circle() {
        let found = circles_of(&[
            (
                "lib.rs",
                "//! [`a::A`]\nmod a; mod folder; mod shared; pub use a::{A, matches}; pub(crate) use folder::child::{Child, help};",
            ),
            (
                "a.rs",
                "use crate::{folder::Child, shared::Shared}; pub struct A(Child, Shared); pub fn matches() {}",
            ),
            ("folder/mod.rs", "pub mod child; pub use child::Child;"),
            (
                "folder/child.rs",
                "use crate::shared; pub struct Child { shared: shared::Shared }\n\
                 pub fn help(folder: u8, a: u8) { let _ = (folder, a); println!(\"{a}\", folder.a); }\n\
                 #[cfg(test)] mod tests { use crate::a::A; }\n#[cfg(test)] fn for_tests(_: crate::A) {}",
            ),
            (
                "shared.rs",
                "use std::fmt; #[derive(fmt::Debug)] pub struct Shared; pub mod a { pub struct Other; }\n\
             fn is_a(b: u8) -> bool { matches!(b, 1) }",
            ),
        ]);
        assert!(found.is_empty(), "{found:?}");
    }
}
