//! Finds what is public in a crate: walks from its root through `pub mod` and `pub use`.

use super::show;
use std::collections::BTreeSet;
use std::path::Path;
use syn::{Attribute, ImplItem, Item, Meta, Type, UseTree, Visibility};

/// A crate's items, and which names its users reach.
#[derive(Default)]
struct Crate {
    /// Every item outside test modules, whatever its visibility.
    items: Vec<Item>,
    /// The names that `pub use` and `pub mod` make reachable.
    reachable: BTreeSet<String>,
}

/// The list of what is public in the crate whose sources are in `folder`: a line each, sorted.
pub(super) fn public_items(folder: &Path) -> String {
    let mut all = Crate::default();
    all.read(&folder.join("lib.rs"), folder, true);
    let mut lines = BTreeSet::new();
    for item in &all.items {
        all.list(item, &mut lines);
    }
    lines.into_iter().map(|line| line + "\n").collect()
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

/// Whether an item is there for tests only.
fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("cfg") => list.tokens.to_string() == "test",
        _ => false,
    })
}

impl Crate {
    /// Reads a file and the modules below it. `open`: whether its public items are reachable by its
    /// path.
    fn read(&mut self, file: &Path, children: &Path, open: bool) {
        let text = std::fs::read_to_string(file)
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let parsed =
            syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        for item in parsed.items {
            match &item {
                Item::Mod(module) if is_test(&module.attrs) => {}
                Item::Mod(module) if module.content.is_none() => {
                    let name = module.ident.to_string();
                    let file = children.join(format!("{name}.rs"));
                    let folder = children.join(&name);
                    let file = if file.exists() { file } else { folder.join("mod.rs") };
                    self.read(&file, &folder, open && is_public(&module.vis));
                }
                Item::Use(names) if is_public(&names.vis) => self.reach(&names.tree),
                _ => {
                    if let Some(name) = public_name(&item).filter(|_| open) {
                        self.reachable.insert(name);
                    }
                    self.items.push(item);
                }
            }
        }
    }

    /// The names that a `pub use` brings up. One that stops at a module which is not public itself
    /// still needs its own name here to count, so nothing private gets in.
    fn reach(&mut self, tree: &UseTree) {
        match tree {
            UseTree::Path(path) => self.reach(&path.tree),
            UseTree::Name(name) => drop(self.reachable.insert(name.ident.to_string())),
            UseTree::Rename(name) => drop(self.reachable.insert(name.ident.to_string())),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.reach(tree)),
            UseTree::Glob(_) => {}
        }
    }

    /// Whether users can name this item.
    fn has(&self, item: &Item) -> bool {
        public_name(item).is_some_and(|name| self.reachable.contains(&name))
    }

    fn list(&self, item: &Item, lines: &mut BTreeSet<String>) {
        match item {
            Item::Impl(block) => self.list_impl(block, lines),
            _ if self.has(item) => lines.extend(show::item(item)),
            _ => {}
        }
    }

    fn list_impl(&self, block: &syn::ItemImpl, lines: &mut BTreeSet<String>) {
        let Type::Path(of) = &*block.self_ty else { return };
        let Some(of) = of.path.segments.last().map(|segment| segment.ident.to_string()) else {
            return;
        };
        if !self.reachable.contains(&of) || is_test(&block.attrs) {
            return;
        }
        if let Some((name, _)) = &block.trait_ {
            lines.insert(format!("impl {} for {of}", show::tokens(name)));
            return;
        }
        for item in &block.items {
            match item {
                ImplItem::Fn(method) if is_public(&method.vis) && !is_test(&method.attrs) => {
                    lines.insert(show::function(Some(&of), &method.sig));
                }
                ImplItem::Const(value) if is_public(&value.vis) => {
                    lines.insert(format!(
                        "const {of}::{}: {}",
                        value.ident,
                        show::tokens(&value.ty)
                    ));
                }
                _ => {}
            }
        }
    }
}

/// The name of an item that is `pub`.
fn public_name(item: &Item) -> Option<String> {
    let (visibility, name) = match item {
        Item::Const(item) => (&item.vis, &item.ident),
        Item::Enum(item) => (&item.vis, &item.ident),
        Item::Fn(item) => (&item.vis, &item.sig.ident),
        Item::Static(item) => (&item.vis, &item.ident),
        Item::Struct(item) => (&item.vis, &item.ident),
        Item::Trait(item) => (&item.vis, &item.ident),
        Item::Type(item) => (&item.vis, &item.ident),
        _ => return None,
    };
    is_public(visibility).then(|| name.to_string())
}
