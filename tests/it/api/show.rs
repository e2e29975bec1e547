//! Writes items as lines of the list: one for the item, one for each public part of it.

use quote::ToTokens;
use syn::{Attribute, Fields, Item, Signature, TraitItem, Visibility};

/// Tokens as text, without the blanks that the printer puts between all of them.
pub(super) fn tokens(value: &impl ToTokens) -> String {
    let mut text = value.to_token_stream().to_string();
    for (wide, narrow) in [
        (" < ", "<"),
        (" <", "<"),
        ("< ", "<"),
        (" >", ">"),
        (" :: ", "::"),
        (":: ", "::"),
        (" ,", ","),
        ("& ", "&"),
        (" (", "("),
        ("( ", "("),
        (" )", ")"),
        ("[ ", "["),
        (" ]", "]"),
        (" ;", ";"),
        (" :", ":"),
        ("' ", "'"),
    ] {
        text = text.replace(wide, narrow);
    }
    text.replace(",)", ")").replace("->", " -> ").replace("  ", " ")
}

/// The line of a function, or of a method of `of`.
pub(super) fn function(of: Option<&str>, signature: &Signature) -> String {
    let name = &signature.ident;
    let path = of.map_or_else(|| name.to_string(), |of| format!("{of}::{name}"));
    let text = tokens(signature);
    let whole = text.replacen(&format!("fn {name}"), &format!("fn {path}"), 1);
    // `const fn` and `async fn` sort with the other functions.
    match whole.split_once("fn ") {
        Some((before, rest)) if !before.is_empty() => format!("fn {rest} [{}]", before.trim()),
        _ => whole,
    }
}

/// The lines of an item that is public.
pub(super) fn item(item: &Item) -> Vec<String> {
    match item {
        Item::Const(value) => vec![format!("const {}: {}", value.ident, tokens(&value.ty))],
        Item::Static(value) => vec![format!("static {}: {}", value.ident, tokens(&value.ty))],
        Item::Type(alias) => vec![format!("type {} = {}", alias.ident, tokens(&alias.ty))],
        Item::Fn(function) => vec![self::function(None, &function.sig)],
        Item::Struct(value) => {
            let name = value.ident.to_string();
            let head = format!("struct {name}{}", tokens(&value.generics));
            let mut lines = vec![head + &marks(&value.attrs)];
            lines.extend(fields(&name, &value.fields, true));
            lines
        }
        Item::Enum(value) => {
            let name = value.ident.to_string();
            let mut lines = vec![format!("enum {name}{}", marks(&value.attrs))];
            for variant in &value.variants {
                let path = format!("{name}::{}", variant.ident);
                lines.extend(fields(&path, &variant.fields, false));
                lines.push(path);
            }
            lines
        }
        Item::Trait(value) => {
            let name = value.ident.to_string();
            let mut lines = vec![format!("trait {name}: {}", tokens(&value.supertraits))];
            for item in &value.items {
                match item {
                    TraitItem::Fn(method) => {
                        let given = if method.default.is_some() { " { … }" } else { "" };
                        lines.push(function(Some(&name), &method.sig) + given);
                    }
                    TraitItem::Type(of) => lines.push(format!("type {name}::{}", of.ident)),
                    TraitItem::Const(of) => lines.push(format!("const {name}::{}", of.ident)),
                    _ => {}
                }
            }
            lines
        }
        _ => Vec::new(),
    }
}

/// The lines of fields: all of a variant's, the public ones of a struct.
fn fields(path: &str, fields: &Fields, of_struct: bool) -> Vec<String> {
    let visible = |field: &&syn::Field| !of_struct || matches!(field.vis, Visibility::Public(_));
    let named = fields.iter().enumerate().filter(|(_, field)| visible(field));
    named
        .map(|(index, field)| {
            let name = field.ident.as_ref().map_or_else(|| index.to_string(), |n| n.to_string());
            format!("{path}.{name}: {}", tokens(&field.ty))
        })
        .collect()
}

/// What the attributes promise: derived traits, and that more may come.
fn marks(attributes: &[Attribute]) -> String {
    let mut text = String::new();
    for attribute in attributes {
        match &attribute.meta {
            syn::Meta::List(list) if list.path.is_ident("derive") => {
                text.push_str(&format!(" derive({})", list.tokens));
            }
            syn::Meta::Path(path) if path.is_ident("non_exhaustive") => {
                text.push_str(" non_exhaustive");
            }
            _ => {}
        }
    }
    text
}
