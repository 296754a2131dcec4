//! What a path stands for: name resolution within one crate, through re-exports to where a thing is defined.
//!
//! A name that this crate does not define is another crate's, and resolves to nothing.

use crate::tree::{Definition, FileId, Kind, ModuleId, ROOT, Tree};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    Item { file: FileId, kind: Kind },
    Module(ModuleId),
}

/// Lookups under way, so that globs and imports that lead back to themselves end.
type Pending<'a> = Vec<(ModuleId, String)>;

/// What `segments`, written in `module`, stand for.
pub fn resolve(tree: &Tree, module: ModuleId, segments: &[String]) -> Vec<Target> {
    follow(tree, module, segments, &mut Vec::new())
}

/// The rest of a path, from what its first segment stands for.
pub fn resolve_from(tree: &Tree, start: &[Target], rest: &[String]) -> Vec<Target> {
    descend(tree, start.to_vec(), rest, &mut Vec::new())
}

fn follow(
    tree: &Tree,
    module: ModuleId,
    segments: &[String],
    pending: &mut Pending,
) -> Vec<Target> {
    let Some((first, mut rest)) = segments.split_first() else { return Vec::new() };
    let start = match first.as_str() {
        "crate" | "$crate" => vec![Target::Module(ROOT)],
        "self" => vec![Target::Module(module)],
        "super" => {
            let mut at = tree.modules[module].parent;
            while let Some(("super", after)) =
                rest.split_first().map(|(s, after)| (s.as_str(), after))
            {
                at = at.and_then(|m| tree.modules[m].parent);
                rest = after;
            }
            at.map(Target::Module).into_iter().collect()
        }
        name => lookup(tree, module, name, pending),
    };
    descend(tree, start, rest, pending)
}

fn descend(
    tree: &Tree,
    mut at: Vec<Target>,
    rest: &[String],
    pending: &mut Pending,
) -> Vec<Target> {
    for (position, segment) in rest.iter().enumerate() {
        let is_last = position + 1 == rest.len();
        at = at
            .into_iter()
            .flat_map(|target| match target {
                // A variant or an associated item: it counts to the type.
                Target::Item { kind: Kind::Type, .. } => vec![target],
                Target::Item { .. } => Vec::new(),
                Target::Module(module) => {
                    let found = lookup(tree, module, segment, pending);
                    if found.is_empty() && is_last && pending.is_empty() {
                        // Defined by a macro or a derive in that module.
                        vec![Target::Item { file: tree.modules[module].file, kind: Kind::Type }]
                    } else {
                        found
                    }
                }
            })
            .collect();
    }
    at.sort_unstable();
    at.dedup();
    at
}

/// The macros that `name` stands for in `module`.
pub fn lookup_macro(tree: &Tree, module: ModuleId, name: &str) -> Vec<Target> {
    let mut found = lookup(tree, module, name, &mut Vec::new());
    found.retain(|target| matches!(target, Target::Item { kind: Kind::Macro, .. }));
    found
}

/// What `name` stands for in `module`: its own items and imports, else what globs bring in.
fn lookup(tree: &Tree, module: ModuleId, name: &str, pending: &mut Pending) -> Vec<Target> {
    let asked = (module, name.to_owned());
    if pending.contains(&asked) {
        return Vec::new();
    }
    pending.push(asked);
    let this = &tree.modules[module];
    let mut found: Vec<Target> = this
        .names
        .get(name)
        .into_iter()
        .flatten()
        .flat_map(|definition| match definition {
            Definition::Item { file, kind } => {
                vec![Target::Item { file: *file, kind: *kind }]
            }
            Definition::Module(id) => vec![Target::Module(*id)],
            Definition::Import(path) => follow(tree, module, &path.segments, pending),
        })
        .collect();
    if found.is_empty() {
        for glob in &this.globs {
            for target in follow(tree, module, &glob.segments, pending) {
                if let Target::Module(from) = target {
                    found.extend(lookup(tree, from, name, pending));
                }
            }
        }
    }
    pending.pop();
    found
}
