//! A crate's modules, what each defines and imports, and the file that it stands in. Test code is left out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use proc_macro2::TokenTree;
use syn::{Attribute, Item, Meta, UseTree, Visibility};

pub type ModuleId = usize;
pub type FileId = usize;

pub const ROOT: ModuleId = 0;

/// One crate.
#[derive(Default)]
pub struct Tree {
    pub modules: Vec<Module>,
    pub files: Vec<PathBuf>,
}

/// Reads a source file; none if there is no such file.
pub type Read<'a> = &'a dyn Fn(&Path) -> Option<String>;

pub struct Module {
    pub parent: Option<ModuleId>,
    pub file: FileId,
    pub names: BTreeMap<String, Vec<Definition>>,
    /// What `use path::*` brings in.
    pub globs: Vec<PathTo>,
    pub imports: Vec<Import>,
    /// Without `use` and `mod`.
    pub items: Vec<Item>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Also of a trait: what paths can go through.
    Type,
    Value,
    Macro,
}

#[derive(Clone)]
pub enum Definition {
    Item { file: FileId, kind: Kind },
    Module(ModuleId),
    Import(PathTo),
}

/// A path as it is written, without its generic arguments.
#[derive(Clone)]
pub struct PathTo {
    pub segments: Vec<String>,
    pub line: usize,
}

/// One leaf of a `use`.
#[derive(Clone)]
pub struct Import {
    pub path: PathTo,
    /// The name that it gets here; none for a glob and for `as _`.
    pub name: Option<String>,
    pub is_glob: bool,
    pub is_public: bool,
}

impl Tree {
    /// Parses a crate from its root file.
    pub fn parse(root: &Path, read: Read) -> Result<Self> {
        let mut tree = Self::default();
        let beside = root.parent().context("a root file stands in a folder")?;
        tree.file_module(read, root, beside, None)?;
        Ok(tree)
    }

    /// `beside`: the folder in which this module's children stand.
    fn file_module(
        &mut self,
        read: Read,
        path: &Path,
        beside: &Path,
        parent: Option<ModuleId>,
    ) -> Result<ModuleId> {
        let text = read(path).with_context(|| format!("read {}", path.display()))?;
        let parsed = syn::parse_file(&text).with_context(|| format!("parse {}", path.display()))?;
        self.files.push(path.to_owned());
        let file = self.files.len() - 1;
        self.module(read, file, parsed.items, beside, parent)
    }

    fn module(
        &mut self,
        read: Read,
        file: FileId,
        items: Vec<Item>,
        beside: &Path,
        parent: Option<ModuleId>,
    ) -> Result<ModuleId> {
        let id = self.modules.len();
        self.modules.push(Module {
            parent,
            file,
            names: BTreeMap::new(),
            globs: Vec::new(),
            imports: Vec::new(),
            items: Vec::new(),
        });
        for item in items.into_iter().filter(|item| !attributes(item).iter().any(is_test)) {
            match item {
                Item::Mod(child) => {
                    let name = child.ident.to_string();
                    let path = path_attribute(&child.attrs);
                    let child = match child.content {
                        Some((_, items)) => {
                            self.module(read, file, items, &beside.join(&name), Some(id))?
                        }
                        None => {
                            let (path, beside) =
                                child_file(read, &self.files[file], beside, &name, path);
                            self.file_module(read, &path, &beside, Some(id))?
                        }
                    };
                    self.define(id, name, Definition::Module(child));
                }
                Item::Use(item) => {
                    let is_public = !matches!(item.vis, Visibility::Inherited);
                    let external = item.leading_colon.is_some();
                    for import in imports(&item.tree, is_public).into_iter().filter(|_| !external) {
                        if import.is_glob {
                            self.modules[id].globs.push(import.path.clone());
                        } else if let Some(name) = &import.name {
                            self.define(id, name.clone(), Definition::Import(import.path.clone()));
                        }
                        self.modules[id].imports.push(import);
                    }
                }
                item => {
                    for (name, kind, exported) in defined(&item) {
                        let definition = Definition::Item { file, kind };
                        if exported && id != ROOT {
                            self.define(ROOT, name.clone(), definition.clone());
                        }
                        self.define(id, name, definition);
                    }
                    self.modules[id].items.push(item);
                }
            }
        }
        Ok(id)
    }

    fn define(&mut self, module: ModuleId, name: String, definition: Definition) {
        self.modules[module].names.entry(name).or_default().push(definition);
    }

    /// Whether `module` is `ancestor` or stands below it.
    pub fn is_within(&self, module: ModuleId, ancestor: ModuleId) -> bool {
        std::iter::successors(Some(module), |m| self.modules[*m].parent).any(|m| m == ancestor)
    }
}

/// The leaves of a `use`.
pub fn imports(tree: &UseTree, is_public: bool) -> Vec<Import> {
    fn walk(tree: &UseTree, prefix: &[String], is_public: bool, found: &mut Vec<Import>) {
        let mut leaf = |ident: &str, line: usize, name: Option<String>, is_glob: bool| {
            let mut segments = prefix.to_vec();
            let to_itself = ident == "self" && !prefix.is_empty();
            if !is_glob && !to_itself {
                segments.push(ident.to_owned());
            }
            let name = match name.as_deref() {
                Some("_") => None,
                Some("self") => segments.last().cloned(),
                _ => name,
            };
            found.push(Import { path: PathTo { segments, line }, name, is_glob, is_public });
        };
        match tree {
            UseTree::Path(path) => {
                let prefix = [prefix, &[path.ident.to_string()]].concat();
                walk(&path.tree, &prefix, is_public, found);
            }
            UseTree::Name(name) => {
                let ident = name.ident.to_string();
                leaf(&ident, name.ident.span().start().line, Some(ident.clone()), false);
            }
            UseTree::Rename(rename) => {
                let line = rename.ident.span().start().line;
                leaf(&rename.ident.to_string(), line, Some(rename.rename.to_string()), false);
            }
            UseTree::Glob(glob) => leaf("*", glob.star_token.spans[0].start().line, None, true),
            UseTree::Group(group) => {
                group.items.iter().for_each(|tree| walk(tree, prefix, is_public, found));
            }
        }
    }
    let mut found = Vec::new();
    walk(tree, &[], is_public, &mut found);
    found
}

/// The file of `mod name;`, and the folder in which its children stand.
fn child_file(
    read: Read,
    parent: &Path,
    beside: &Path,
    name: &str,
    path: Option<String>,
) -> (PathBuf, PathBuf) {
    if let Some(path) = path {
        let file = parent.parent().unwrap_or(Path::new("")).join(path);
        let beside = file.parent().unwrap_or(Path::new("")).to_owned();
        return (file, beside);
    }
    let folder = beside.join(name);
    let flat = beside.join(format!("{name}.rs"));
    if read(&flat).is_some() { (flat, folder) } else { (folder.join("mod.rs"), folder) }
}

fn path_attribute(attributes: &[Attribute]) -> Option<String> {
    attributes.iter().find_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("path") => string(&pair.value),
        _ => None,
    })
}

fn string(value: &syn::Expr) -> Option<String> {
    match value {
        syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) => Some(text.value()),
        _ => None,
    }
}

/// `#[cfg(test)]`, also within `all(...)`.
pub fn is_test(attribute: &Attribute) -> bool {
    fn names_test(tokens: proc_macro2::TokenStream) -> bool {
        let mut negated = false;
        tokens.into_iter().any(|token| match token {
            TokenTree::Ident(ident) => {
                negated = ident == "not" || ident == "any";
                ident == "test"
            }
            TokenTree::Group(group) => !negated && names_test(group.stream()),
            _ => false,
        })
    }
    matches!(&attribute.meta, Meta::List(list) if list.path.is_ident("cfg") && names_test(list.tokens.clone()))
}

pub fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(i) => &i.attrs,
        Item::Enum(i) => &i.attrs,
        Item::ExternCrate(i) => &i.attrs,
        Item::Fn(i) => &i.attrs,
        Item::ForeignMod(i) => &i.attrs,
        Item::Impl(i) => &i.attrs,
        Item::Macro(i) => &i.attrs,
        Item::Mod(i) => &i.attrs,
        Item::Static(i) => &i.attrs,
        Item::Struct(i) => &i.attrs,
        Item::Trait(i) => &i.attrs,
        Item::TraitAlias(i) => &i.attrs,
        Item::Type(i) => &i.attrs,
        Item::Union(i) => &i.attrs,
        Item::Use(i) => &i.attrs,
        _ => &[],
    }
}

/// The names that an item defines: (name, kind, whether the crate's root has it, too).
fn defined(item: &Item) -> Vec<(String, Kind, bool)> {
    let exported = attributes(item).iter().any(|a| a.path().is_ident("macro_export"));
    let kind = match item {
        Item::Macro(_) => Kind::Macro,
        Item::Const(_) | Item::Fn(_) | Item::Static(_) => Kind::Value,
        _ => Kind::Type,
    };
    let generated = kube_kind(attributes(item));
    let names = ident(item).map(ToString::to_string).into_iter().chain(generated);
    names.map(|name| (name, kind, exported)).collect()
}

/// The name that an item defines.
pub fn ident(item: &Item) -> Option<&syn::Ident> {
    match item {
        Item::Const(i) => Some(&i.ident),
        Item::Enum(i) => Some(&i.ident),
        Item::Fn(i) => Some(&i.sig.ident),
        Item::Macro(i) => i.ident.as_ref(),
        Item::Static(i) => Some(&i.ident),
        Item::Struct(i) => Some(&i.ident),
        Item::Trait(i) => Some(&i.ident),
        Item::TraitAlias(i) => Some(&i.ident),
        Item::Type(i) => Some(&i.ident),
        Item::Union(i) => Some(&i.ident),
        _ => None,
    }
}

/// `#[derive(CustomResource)] #[kube(kind = "X")]` defines `X`.
fn kube_kind(attributes: &[Attribute]) -> Option<String> {
    attributes.iter().filter(|a| a.path().is_ident("kube")).find_map(|attribute| {
        let Meta::List(list) = &attribute.meta else { return None };
        let tokens: Vec<_> = list.tokens.clone().into_iter().collect();
        tokens.windows(3).find_map(|three| match three {
            [TokenTree::Ident(key), TokenTree::Punct(_), TokenTree::Literal(kind)]
                if key == "kind" =>
            {
                Some(kind.to_string().trim_matches('"').to_owned())
            }
            _ => None,
        })
    })
}
