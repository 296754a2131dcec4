//! Which files of its crate each file refers to, and where.
//!
//! Seen are `use`s and paths, also within macros' arguments and attributes. Not seen are methods called by a dot:
//! a method of a type whose `impl` stands in another file is no import.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Block, Item, Meta, Stmt};

use crate::names::{Target, lookup_macro, resolve, resolve_from};
use crate::tree::{FileId, Import, ModuleId, Tree, imports, is_test};

/// One place where a file refers to another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub line: usize,
    pub path: String,
}

/// From a file to a file, by each place.
pub type References = BTreeMap<(FileId, FileId), BTreeSet<Place>>;

pub fn references(tree: &Tree) -> References {
    let mut found = References::new();
    for (id, module) in tree.modules.iter().enumerate() {
        let mut visitor =
            Visitor { tree, module: id, found: &mut found, scopes: Vec::new(), locals: Vec::new() };
        for import in &module.imports {
            visitor.import(import);
        }
        for item in &module.items {
            visitor.visit_item(item);
        }
    }
    found
}

struct Visitor<'a> {
    tree: &'a Tree,
    module: ModuleId,
    found: &'a mut References,
    /// What the `use`s of the blocks around bring in.
    scopes: Vec<BTreeMap<String, Vec<Target>>>,
    /// The variables of the functions around, which hide functions of the same name.
    locals: Vec<HashSet<String>>,
}

impl Visitor<'_> {
    fn import(&mut self, import: &Import) {
        let targets = self.resolve(&import.path.segments);
        // A facade passes on what stands below it, and uses nothing of it by that.
        let facade = import.is_public
            && targets.iter().all(|target| match target {
                Target::Item { file, .. } => self.is_below(*file),
                Target::Module(_) => true,
            });
        if !facade {
            self.refer(&targets, import.path.line, &import.path.segments);
        }
    }

    fn is_below(&self, file: FileId) -> bool {
        let tree = self.tree;
        tree.modules
            .iter()
            .enumerate()
            .any(|(id, m)| m.file == file && tree.is_within(id, self.module))
    }

    fn resolve(&self, segments: &[String]) -> Vec<Target> {
        let Some((first, rest)) = segments.split_first() else { return Vec::new() };
        match self.scopes.iter().rev().find_map(|scope| scope.get(first)) {
            Some(start) => resolve_from(self.tree, start, rest),
            None => resolve(self.tree, self.module, segments),
        }
    }

    fn path(&mut self, segments: &[String], line: usize) {
        let targets = match segments {
            [] => return,
            [name] if self.locals.iter().any(|locals| locals.contains(name)) => return,
            _ => self.resolve(segments),
        };
        self.refer(&targets, line, segments);
    }

    fn refer(&mut self, targets: &[Target], line: usize, segments: &[String]) {
        for target in targets {
            if let Target::Item { file, .. } = target {
                self.refer_to(*file, line, segments);
            }
        }
    }

    fn refer_to(&mut self, file: FileId, line: usize, segments: &[String]) {
        let from = self.tree.modules[self.module].file;
        if from != file {
            let place = Place { line, path: segments.join("::") };
            self.found.entry((from, file)).or_default().insert(place);
        }
    }

    /// A macro without a path: an item in scope, or one that `macro_rules!` defines in a module around.
    fn called_macro(&mut self, name: &str, line: usize) {
        let modules = std::iter::successors(Some(self.module), |m| self.tree.modules[*m].parent);
        let found =
            modules.map(|m| lookup_macro(self.tree, m, name)).find(|found| !found.is_empty());
        self.refer(&found.unwrap_or_default(), line, &[name.to_owned()]);
    }

    /// The paths among a macro's arguments; `only_long`: not those of a single name.
    fn tokens(&mut self, tokens: TokenStream, only_long: bool) {
        let mut path: Vec<String> = Vec::new();
        let mut line = 0;
        let (mut colons, mut after_dot, mut dollar) = (0, false, false);
        for token in tokens {
            match &token {
                TokenTree::Ident(ident) => {
                    if colons < 2 {
                        self.flush(&mut path, line, only_long);
                        line = ident.span().start().line;
                    }
                    let name = ident.to_string();
                    // Neither a field, nor a method, nor a macro's variable.
                    if !after_dot
                        && (!dollar || name == "crate")
                        && (colons < 2 || !path.is_empty())
                    {
                        path.push(name);
                    }
                    (colons, after_dot, dollar) = (0, false, false);
                }
                TokenTree::Punct(punct) => {
                    match punct.as_char() {
                        ':' => colons += 1,
                        _ => colons = 0,
                    }
                    if colons == 0 || colons > 2 {
                        self.flush(&mut path, line, only_long);
                    }
                    after_dot = punct.as_char() == '.';
                    dollar = matches!(punct.as_char(), '$' | '\'');
                }
                TokenTree::Group(group) => {
                    self.flush(&mut path, line, only_long);
                    self.tokens(group.stream(), only_long);
                    (colons, after_dot, dollar) = (0, false, false);
                }
                TokenTree::Literal(_) => {
                    self.flush(&mut path, line, only_long);
                    (colons, after_dot, dollar) = (0, false, false);
                }
            }
        }
        self.flush(&mut path, line, only_long);
    }

    fn flush(&mut self, path: &mut Vec<String>, line: usize, only_long: bool) {
        let segments = std::mem::take(path);
        if segments.len() > usize::from(only_long) {
            self.path(&segments, line);
        }
    }

    /// Paths in strings: `#[serde(with = "module")]` and the like.
    fn quoted_path(&mut self, text: &str, line: usize) {
        let Ok(path) = syn::parse_str::<syn::Path>(text.trim_matches('"')) else { return };
        let segments = segments(&path);
        for target in self.resolve(&segments) {
            match target {
                Target::Item { file, .. } => self.refer_to(file, line, &segments),
                Target::Module(module) => {
                    self.refer_to(self.tree.modules[module].file, line, &segments)
                }
            }
        }
    }
}

/// The keys of derives' attributes whose values are paths.
const QUOTED_PATHS: [&str; 11] = [
    "default",
    "deserialize_with",
    "from",
    "getter",
    "into",
    "remote",
    "schema_with",
    "serialize_with",
    "skip_serializing_if",
    "try_from",
    "with",
];

impl<'ast> Visit<'ast> for Visitor<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if !crate::tree::attributes(item).iter().any(is_test) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item(&mut self, item: &'ast syn::ImplItem) {
        let attributes: &[Attribute] = match item {
            syn::ImplItem::Fn(f) => &f.attrs,
            syn::ImplItem::Const(c) => &c.attrs,
            _ => &[],
        };
        if !attributes.iter().any(is_test) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.locals.push(variables(|v| v.visit_item_fn(item)));
        visit::visit_item_fn(self, item);
        self.locals.pop();
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.locals.push(variables(|v| v.visit_impl_item_fn(item)));
        visit::visit_impl_item_fn(self, item);
        self.locals.pop();
    }

    fn visit_block(&mut self, block: &'ast Block) {
        let mut scope = BTreeMap::new();
        for statement in &block.stmts {
            let Stmt::Item(Item::Use(item)) = statement else { continue };
            for import in imports(&item.tree, false) {
                self.import(&import);
                if let Some(name) = import.name {
                    scope.insert(name, self.resolve(&import.path.segments));
                }
            }
        }
        self.scopes.push(scope);
        visit::visit_block(self, block);
        self.scopes.pop();
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none()
            && let Some(first) = path.segments.first()
        {
            self.path(&segments(path), first.ident.span().start().line);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, mac: &'ast syn::Macro) {
        match mac.path.get_ident() {
            Some(name) => self.called_macro(&name.to_string(), name.span().start().line),
            None => self.visit_path(&mac.path),
        }
        let is_definition = mac.path.is_ident("macro_rules");
        self.tokens(mac.tokens.clone(), is_definition);
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        let Meta::List(list) = &attribute.meta else { return };
        if list.path.is_ident("cfg") || list.path.is_ident("cfg_attr") {
            return;
        }
        self.tokens(list.tokens.clone(), true);
        let tokens: Vec<_> = list.tokens.clone().into_iter().collect();
        for three in tokens.windows(3) {
            if let [TokenTree::Ident(key), TokenTree::Punct(_), TokenTree::Literal(value)] = three
                && QUOTED_PATHS.contains(&key.to_string().as_str())
            {
                self.quoted_path(&value.to_string(), value.span().start().line);
            }
        }
    }
}

fn segments(path: &syn::Path) -> Vec<String> {
    path.segments.iter().map(|segment| segment.ident.to_string()).collect()
}

/// The variables that patterns bind.
fn variables(visit: impl FnOnce(&mut Variables)) -> HashSet<String> {
    let mut variables = Variables(HashSet::new());
    visit(&mut variables);
    variables.0
}

struct Variables(HashSet<String>);

impl<'ast> Visit<'ast> for Variables {
    fn visit_pat_ident(&mut self, pattern: &'ast syn::PatIdent) {
        let name = pattern.ident.to_string();
        if name.starts_with(|c: char| c.is_lowercase() || c == '_') {
            self.0.insert(name);
        }
        visit::visit_pat_ident(self, pattern);
    }
}
