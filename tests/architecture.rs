//! Holds the house to its floors: who imports whom, where `unsafe` stands, how long a file
//! is, and that each module says what it is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use syn::visit::Visit;

use crate::harness::package;

/// Each floor and the floors below that it may use.
const FLOORS: [(&str, &[&str]); 10] = [
    ("domain", &[]),
    ("config", &["domain"]),
    ("contain", &["domain"]),
    ("logs", &["domain"]),
    ("probe", &["domain", "contain", "logs"]),
    ("watch", &["domain", "contain", "logs"]),
    (
        "supervisor",
        &["domain", "contain", "logs", "probe", "watch"],
    ),
    ("control", &["domain", "logs", "supervisor"]),
    ("tui", &["domain", "logs", "control"]),
    (
        "cli",
        &[
            "domain",
            "config",
            "contain",
            "logs",
            "probe",
            "watch",
            "supervisor",
            "control",
            "tui",
        ],
    ),
];

/// Of the domain, `contain` may use names alone: it knows nothing of units and plans.
const NAMES_OF_DOMAIN: [&str; 3] = ["id", "signal", "exit"];

/// What decides must not reach for.
const OUTSIDE: [&[&str]; 9] = [
    &["tokio"],
    &["rustix"],
    &["std", "fs"],
    &["std", "env"],
    &["std", "net"],
    &["std", "process"],
    &["std", "thread"],
    &["std", "time", "Instant"],
    &["std", "time", "SystemTime"],
];

/// What only `contain` may do: spawn and signal.
const PROCESSES: [&[&str]; 5] = [
    &["std", "process", "Command"],
    &["tokio", "process"],
    &["rustix", "process", "kill_process"],
    &["rustix", "process", "kill_process_group"],
    &["rustix", "process", "pidfd_send_signal"],
];

const MAX_LINES: usize = 500;

struct Source {
    /// Below `src`.
    path: PathBuf,
    /// Its place among the modules.
    module: Vec<String>,
    text: String,
    file: syn::File,
    /// It is compiled for tests alone.
    is_test: bool,
}

impl Source {
    fn floor(&self) -> Option<&str> {
        self.module.first().map(String::as_str)
    }

    fn paths(&self) -> Vec<Vec<String>> {
        let mut paths = Paths {
            module: self.module.clone(),
            found: Vec::new(),
        };
        paths.visit_file(&self.file);
        paths.found
    }
}

fn sources() -> Vec<Source> {
    let mut sources = Vec::new();
    let mut folders = vec![package().join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                sources.push(source(&path));
            }
        }
    }
    assert!(sources.len() > 50, "the sources were not found");
    let tests: Vec<Vec<String>> = sources.iter().flat_map(test_modules).collect();
    for source in &mut sources {
        source.is_test = tests.iter().any(|test| source.module.starts_with(test));
    }
    sources
}

/// The modules in files of their own that the source declares for tests.
fn test_modules(source: &Source) -> Vec<Vec<String>> {
    let is_for_tests = |item: &syn::ItemMod| {
        let text = |attribute: &syn::Attribute| match &attribute.meta {
            syn::Meta::List(list) if list.path.is_ident("cfg") => list.tokens.to_string(),
            _ => String::new(),
        };
        item.attrs.iter().any(|attribute| text(attribute) == "test")
    };
    let file_of = |item: &syn::ItemMod| {
        item.attrs
            .iter()
            .find_map(|attribute| match &attribute.meta {
                syn::Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
                    syn::Expr::Lit(syn::ExprLit {
                        lit: syn::Lit::Str(name),
                        ..
                    }) => Some(name.value().trim_end_matches(".rs").to_owned()),
                    _ => None,
                },
                _ => None,
            })
    };
    let mut modules = Vec::new();
    for item in &source.file.items {
        if let syn::Item::Mod(item) = item
            && item.content.is_none()
            && is_for_tests(item)
        {
            let mut module = source.module.clone();
            match file_of(item) {
                // Such a file stands beside the one that names it.
                Some(file) => {
                    if source.path.file_name().is_some_and(|name| name != "mod.rs") {
                        module.pop();
                    }
                    module.push(file);
                }
                None => module.push(item.ident.to_string()),
            }
            modules.push(module);
        }
    }
    modules
}

fn source(path: &Path) -> Source {
    let text = std::fs::read_to_string(path).unwrap();
    let path = path.strip_prefix(package().join("src")).unwrap().to_owned();
    let mut module: Vec<String> = path
        .with_extension("")
        .iter()
        .map(|part| part.to_str().unwrap().to_owned())
        .collect();
    if matches!(
        module.last().map(String::as_str),
        Some("mod" | "lib" | "main")
    ) {
        module.pop();
    }
    Source {
        file: syn::parse_file(&text).unwrap(),
        path,
        module,
        text,
        is_test: false,
    }
}

/// Collects every path of a file, spelt out from the crate's root or from another crate.
struct Paths {
    module: Vec<String>,
    found: Vec<Vec<String>>,
}

impl Paths {
    fn add(&mut self, path: &[String]) {
        let mut resolved = self.module.clone();
        let mut rest = path;
        match path.first().map(String::as_str) {
            Some("crate") => {
                resolved.clear();
                rest = &path[1..];
            }
            Some("self") => rest = &path[1..],
            Some("super") => {
                while rest.first().is_some_and(|part| part == "super") {
                    resolved.pop();
                    rest = &rest[1..];
                }
            }
            Some(_) => {
                self.found.push(path.to_vec());
                return;
            }
            None => return,
        }
        resolved.extend_from_slice(rest);
        resolved.insert(0, "crate".to_owned());
        self.found.push(resolved);
    }

    fn tree(&mut self, tree: &syn::UseTree, before: &mut Vec<String>) {
        match tree {
            syn::UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.tree(&path.tree, before);
                before.pop();
            }
            syn::UseTree::Name(name) => self.leaf(&name.ident.to_string(), before),
            syn::UseTree::Rename(name) => self.leaf(&name.ident.to_string(), before),
            syn::UseTree::Glob(_) => self.add(&before.clone()),
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.tree(tree, before);
                }
            }
        }
    }

    fn leaf(&mut self, name: &str, before: &[String]) {
        let mut path = before.to_vec();
        if name != "self" {
            path.push(name.to_owned());
        }
        self.add(&path);
    }
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.tree(&item.tree, &mut Vec::new());
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let parts: Vec<String> = path.segments.iter().map(|s| s.ident.to_string()).collect();
        self.add(&parts);
        syn::visit::visit_path(self, path);
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if item.content.is_some() {
            self.module.push(item.ident.to_string());
            syn::visit::visit_item_mod(self, item);
            self.module.pop();
        }
    }

    // What stands in a macro's arguments is tokens: the paths in it are put together here.
    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        self.tokens(item.tokens.clone());
        syn::visit::visit_macro(self, item);
    }
}

impl Paths {
    fn tokens(&mut self, tokens: proc_macro2::TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                proc_macro2::TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.add(&std::mem::take(&mut path));
                    }
                    path.push(ident.to_string());
                    colons = 0;
                }
                proc_macro2::TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                proc_macro2::TokenTree::Group(group) => {
                    self.add(&std::mem::take(&mut path));
                    self.tokens(group.stream());
                    colons = 0;
                }
                _ => {
                    self.add(&std::mem::take(&mut path));
                    colons = 0;
                }
            }
        }
        self.add(&path);
    }
}

fn starts_with(path: &[String], prefix: &[&str]) -> bool {
    path.len() >= prefix.len() && path.iter().zip(prefix).all(|(part, other)| part == other)
}

#[track_caller]
fn assert_none(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn floors_use_only_what_is_below() {
    let floors: BTreeMap<&str, &[&str]> = FLOORS.into_iter().collect();
    let mut complaints = Vec::new();
    for source in sources() {
        let Some(floor) = source.floor() else {
            continue;
        };
        let Some(allowed) = floors.get(floor) else {
            complaints.push(format!("{}: no floor", source.path.display()));
            continue;
        };
        for path in source.paths() {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            let ["crate", used, ref rest @ ..] = path[..] else {
                continue;
            };
            let is_name = floor != "contain"
                || used != "domain"
                || rest
                    .first()
                    .is_some_and(|name| NAMES_OF_DOMAIN.contains(name));
            let known = floors.contains_key(used);
            if used != floor && known && !(allowed.contains(&used) && is_name) {
                complaints.push(format!(
                    "{} uses {}",
                    source.path.display(),
                    path.join("::")
                ));
            }
        }
    }
    assert_none(&complaints);
}

#[test]
fn what_decides_touches_nothing_outside() {
    let mut complaints = Vec::new();
    for source in sources() {
        if source.floor() != Some("domain") || source.is_test {
            continue;
        }
        for path in source.paths() {
            if OUTSIDE.iter().any(|outside| starts_with(&path, outside)) {
                complaints.push(format!(
                    "{} uses {}",
                    source.path.display(),
                    path.join("::")
                ));
            }
        }
    }
    assert_none(&complaints);
}

#[test]
fn processes_are_the_matter_of_contain_alone() {
    let mut complaints = Vec::new();
    for source in sources() {
        if source.floor() == Some("contain") || source.is_test {
            continue;
        }
        for path in source.paths() {
            if PROCESSES.iter().any(|process| starts_with(&path, process)) {
                complaints.push(format!(
                    "{} uses {}",
                    source.path.display(),
                    path.join("::")
                ));
            }
        }
    }
    assert_none(&complaints);
}

#[test]
fn unsafe_stands_in_contain_alone() {
    struct Unsafe(usize);
    impl Unsafe {
        fn tokens(&mut self, tokens: proc_macro2::TokenStream) {
            for token in tokens {
                match token {
                    proc_macro2::TokenTree::Ident(ident) if ident == "unsafe" => self.0 += 1,
                    proc_macro2::TokenTree::Group(group) => self.tokens(group.stream()),
                    _ => {}
                }
            }
        }
    }
    let mut complaints = Vec::new();
    for source in sources() {
        let mut found = Unsafe(0);
        // The word itself, wherever it stands: no form of it can be forgotten.
        found.tokens(source.text.parse().unwrap());
        if found.0 > 0 && source.floor() != Some("contain") {
            complaints.push(format!("{}: unsafe", source.path.display()));
        }
    }
    assert_none(&complaints);
}

#[test]
fn files_are_short_and_say_what_they_are() {
    let mut complaints = Vec::new();
    for source in sources() {
        let lines = source.text.lines().count();
        let path = source.path.display();
        if lines > MAX_LINES {
            complaints.push(format!("{path}: {lines} lines"));
        }
        if !source.is_test && !source.text.starts_with("//!") {
            complaints.push(format!("{path}: does not say what it is"));
        }
        let vague = [
            "utils", "util", "helpers", "common", "misc", "manager", "engine",
        ];
        if source
            .module
            .iter()
            .any(|part| vague.contains(&part.as_str()))
        {
            complaints.push(format!("{path}: a name that says nothing"));
        }
    }
    assert_none(&complaints);
}

#[test]
fn paths_are_found_however_they_are_written() {
    let text = "
        use crate::a::{self, b::{C, D as E}, *};
        use super::super::f::G;
        use std::{fs, time::Instant};
        mod inner { use super::h; fn x() { super::super::i::J::new(); } }
        fn y() { let _ = vec![crate::k::L]; tokio::spawn(std::env::args()); }
    ";
    let mut paths = Paths {
        module: vec!["p".into(), "q".into()],
        found: Vec::new(),
    };
    paths.visit_file(&syn::parse_file(text).unwrap());
    let found: Vec<String> = paths.found.iter().map(|path| path.join("::")).collect();
    for expected in [
        "crate::a",
        "crate::a::b::C",
        "crate::a::b::D",
        "crate::f::G",
        "std::fs",
        "std::time::Instant",
        "crate::p::q::h",
        "crate::p::i::J::new",
        "crate::k::L",
        "tokio::spawn",
        "std::env::args",
    ] {
        assert!(
            found.iter().any(|path| path == expected),
            "{expected} in {found:#?}"
        );
    }
}
