//! From files to one merged tree.
//!
//! This module owns which texts are read, the expansion of `${…}` in them, what they
//! extend, and their order.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::expand::{self, Expanded};
use super::merge::merge;
use crate::config::context::Cx;
use crate::config::diagnostic::{Diagnostic, Kind};
use crate::config::lower::paths::tidy;
use crate::config::parse::parse;
use crate::config::snippet::quoted;
use crate::config::source::{FileId, Sources, Span};
use crate::config::tree::{Entry, Map, Node, Scalar, Value};
use crate::domain::spec::EnvMap;

/// Files that extend each other can be no more.
const MAX_EXTENDED: usize = 64;

/// All files merged; `None` where a diagnostic says why not.
pub(super) fn read(paths: &[PathBuf], variables: &EnvMap, cx: &mut Cx<'_>) -> Option<Node> {
    let mut reader = Reader {
        variables,
        open: Vec::new(),
        trees: Vec::new(),
    };
    let mut whole = true;
    for path in paths {
        whole &= reader.file(path, None, None, cx).is_some();
    }
    if !whole {
        return None;
    }
    let mut trees = reader.trees.into_iter();
    let first = trees.next()?;
    Some(trees.fold(first, |base, over| merge(&base, &over, cx)))
}

struct Reader<'a> {
    variables: &'a EnvMap,
    /// Files that are being read.
    open: Vec<PathBuf>,
    /// What is read, in the order in which it is merged.
    trees: Vec<Node>,
}

impl Reader<'_> {
    /// `child`: the folder of the file that extends this one.
    fn file(
        &mut self,
        path: &Path,
        named: Option<Span>,
        child: Option<&Path>,
        cx: &mut Cx<'_>,
    ) -> Option<()> {
        let path = tidy(path);
        if self.open.contains(&path) || self.open.len() >= MAX_EXTENDED {
            let message = format!("`{}` extends itself", cx.sources.show(&path));
            cx.say(match named {
                Some(span) => Diagnostic::meaning(span, message).label("closes the circle"),
                None => Diagnostic::file(message),
            });
            return None;
        }
        let (node, file) = tree(&path, named, self.variables, cx)?;
        self.open.push(path.clone());
        let folder = path.parent().unwrap_or(Path::new("/")).to_owned();
        let extends = node.as_map().and_then(|map| map.get("extends")).cloned();
        if let Some(entry) = extends.filter(|entry| !entry.value.is_null()) {
            match &entry.value.value {
                Value::Scalar(parent) => {
                    let parent = folder.join(&*parent.text);
                    self.file(&parent, Some(entry.value.span), Some(&folder), cx)?;
                }
                Value::Seq(_) | Value::Map(_) => {
                    cx.say(super::fields::mismatch(
                        &entry.value,
                        "the path of one file",
                    ));
                    return None;
                }
            }
        }
        self.open.pop();
        self.trees.push(match child {
            Some(_) => rooted(&node, file, &folder),
            None => node,
        });
        Some(())
    }
}

/// Reads one file and expands it.
fn tree(
    path: &Path,
    named: Option<Span>,
    variables: &EnvMap,
    cx: &mut Cx<'_>,
) -> Option<(Node, FileId)> {
    let file = match cx.sources.read(path) {
        Ok(file) => file,
        Err(error) => {
            let message = format!("the file `{}` {error}", cx.sources.show(path));
            cx.say(match named {
                Some(span) => Diagnostic::meaning(span, message)
                    .of_kind(Kind::File)
                    .label("extended here"),
                None => Diagnostic::file(message),
            });
            return None;
        }
    };
    let text = cx.sources.get(file).text();
    let os = cx.os;
    // For expansion, and only for it, a file of variables wins over the environment.
    let lookup = |name: &str| variables.get(name).or_else(|| os.get(name)).cloned();
    let expanded = (!expand::is_plain(text)).then(|| expand::expand(text, &lookup));
    let before = cx.diagnostics.len();
    let node = match &expanded {
        Some(expanded) => {
            let node = parse_expanded(expanded, file, cx);
            let raw = node.as_ref().is_some_and(is_raw);
            if raw {
                cx.diagnostics.truncate(before);
                parse(&cx.sources, file, &mut cx.diagnostics)
            } else {
                warn_of_quirks(expanded, file, cx);
                node
            }
        }
        None => parse(&cx.sources, file, &mut cx.diagnostics),
    };
    let failed = cx.diagnostics[before..].iter().any(Diagnostic::is_error);
    match node {
        Some(node) if node.as_map().is_some() => Some((node, file)),
        _ if failed => None,
        Some(node) if !node.is_null() => {
            cx.say(super::fields::mismatch(&node, "a map with `processes`"));
            None
        }
        _ => {
            cx.say(
                Diagnostic::syntax(Span::new(file, 0, 0), "the file is empty")
                    .label("expected a map with `processes`"),
            );
            None
        }
    }
}

fn is_raw(node: &Node) -> bool {
    let entry = node
        .as_map()
        .and_then(|map| map.get("disable_env_expansion"));
    entry.is_some_and(|entry| match &entry.value.value {
        Value::Scalar(scalar) => super::fields::truth(&scalar.text) == Some(true),
        Value::Seq(_) | Value::Map(_) => false,
    })
}

fn parse_expanded(expanded: &Expanded, file: FileId, cx: &mut Cx<'_>) -> Option<Node> {
    let mut scratch = Sources::new(Path::new("/"));
    let shadow = scratch.add(cx.sources.get(file).path(), expanded.text.clone());
    let mut diagnostics = Vec::new();
    let node = parse(&scratch, shadow, &mut diagnostics);
    for mut diagnostic in diagnostics {
        for label in &mut diagnostic.labels {
            label.span = expanded.span(file, label.span);
        }
        cx.say(diagnostic);
    }
    Some(expanded.tree(file, &node?))
}

fn warn_of_quirks(expanded: &Expanded, file: FileId, cx: &mut Cx<'_>) {
    if let Some(at) = expanded.backslash {
        cx.say(
            Diagnostic::warning(
                Span::new(file, at, at + 2),
                "one of two backslashes is taken away",
            )
            .label("as is the one before a `/`, anywhere in the file")
            .help(
                "process-compose does so when it replaces `${…}`; `disable_env_expansion: true` \
                 turns both off",
            ),
        );
    }
    if let Some(&(start, end)) = expanded.odd.first() {
        cx.say(
            Diagnostic::warning(
                Span::new(file, start, end),
                "`:?` and `:+` give a default here, as `:-` does",
            )
            .label("neither an error nor another value")
            .help("write `${NAME:-default}`, or `$${…}` for the shell"),
        );
    }
}

/// The processes of an extended file start from the folder of that file.
fn rooted(node: &Node, file: FileId, folder: &Path) -> Node {
    let Value::Map(top) = &node.value else {
        return node.clone();
    };
    let mut top = (**top).clone();
    for entry in &mut top.entries {
        if &*entry.key != "processes" {
            continue;
        }
        let Value::Map(processes) = &entry.value.value else {
            continue;
        };
        let mut processes = (**processes).clone();
        for process in &mut processes.entries {
            process.value = in_folder(&process.value, file, folder);
        }
        entry.value.value = Value::Map(Arc::new(processes));
    }
    Node {
        span: node.span,
        value: Value::Map(Arc::new(top)),
    }
}

fn in_folder(process: &Node, file: FileId, folder: &Path) -> Node {
    let empty = Arc::new(Map::default());
    let map = match &process.value {
        Value::Map(map) => map,
        Value::Scalar(scalar) if scalar.is_null() => &empty,
        Value::Scalar(_) | Value::Seq(_) => return process.clone(),
    };
    let mut map = (**map).clone();
    let given = map
        .entries
        .iter_mut()
        .find(|entry| &*entry.key == "working_dir");
    let text = |given: &str| -> Arc<str> {
        tidy(&folder.join(given))
            .to_string_lossy()
            .into_owned()
            .into()
    };
    match given {
        Some(entry) => {
            if let Value::Scalar(scalar) = &mut entry.value.value {
                let own = if scalar.is_null() { "" } else { &scalar.text };
                *scalar = Scalar {
                    text: text(own),
                    plain: false,
                };
            }
        }
        None => {
            let span = Span::new(
                file,
                process.span.start as usize,
                process.span.start as usize,
            );
            map.entries.push(Entry {
                key: "working_dir".into(),
                key_span: span,
                value: Node {
                    span,
                    value: Value::Scalar(Scalar {
                        text: text(""),
                        plain: false,
                    }),
                },
            });
        }
    }
    Node {
        span: process.span,
        value: Value::Map(Arc::new(map)),
    }
}

/// Resolves what processes extend, each once.
pub(super) fn extended(processes: &Arc<Map>, cx: &mut Cx<'_>) -> Arc<Map> {
    let extends = |entry: &Entry| {
        let parent = entry.value.as_map()?.get("extends")?;
        match &parent.value.value {
            Value::Scalar(scalar) if !scalar.is_null() => {
                Some((scalar.text.clone(), parent.value.span))
            }
            Value::Scalar(_) | Value::Seq(_) | Value::Map(_) => None,
        }
    };
    if processes
        .entries
        .iter()
        .all(|entry| extends(entry).is_none())
    {
        return processes.clone();
    }
    let mut out = (**processes).clone();
    for (at, entry) in processes.entries.iter().enumerate() {
        let mut chain = vec![entry];
        let mut next = extends(entry);
        let mut broken = false;
        while let Some((name, span)) = next {
            let Some(parent) = processes.get(&name) else {
                let names = processes.entries.iter().map(|entry| &*entry.key);
                let help = crate::config::suggest::did_you_mean(&name, names);
                cx.say(
                    Diagnostic::meaning(span, format!("no process is named {}", quoted(&name)))
                        .label("extended here")
                        .maybe_help(help),
                );
                broken = true;
                break;
            };
            if chain.iter().any(|link| link.key == parent.key) {
                cx.say(
                    Diagnostic::meaning(span, format!("{} extends itself", quoted(&entry.key)))
                        .label("closes the circle"),
                );
                broken = true;
                break;
            }
            chain.push(parent);
            next = extends(parent);
        }
        if broken || chain.len() < 2 {
            continue;
        }
        let mut links = chain.into_iter().rev();
        let Some(first) = links.next() else { continue };
        let node = links.fold(first.value.clone(), |base, link| {
            merge(&base, &link.value, cx)
        });
        out.entries[at].value = node;
    }
    Arc::new(out)
}
