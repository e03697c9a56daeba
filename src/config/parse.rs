//! YAML text into a [tree](super::tree).
//!
//! The grammar is `saphyr-parser`'s. This module owns what pk makes of its events: anchors and
//! merge keys are resolved, duplicate keys found, and nothing in a file can make the tree
//! deep or large beyond the file itself.

use std::sync::Arc;

use rustc_hash::FxHashSet;
use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, StrInput, Tag};

use super::diagnostic::Diagnostic;
use super::snippet::quoted;
use super::source::{FileId, Sources, Span};
use super::syntax;
use super::tree::{Entry, KeyIndex, Map, Node, Scalar, Value};

/// Collections within collections; a configuration needs about ten.
pub const MAX_DEPTH: usize = 100;
/// Nodes that aliases and merge keys may add to a file.
pub const MAX_ALIASED: usize = 2_000_000;
/// Keys beyond these are names that a file made up, mostly used once.
const MAX_SHARED_KEYS: usize = 256;
const MAX_SHARED_KEY: usize = 32;

/// Reads the one document of a file. `None`: it is empty, or too broken to go on with, which
/// a diagnostic then says.
pub fn parse(sources: &Sources, file: FileId, diagnostics: &mut Vec<Diagnostic>) -> Option<Node> {
    let text = sources.get(file).text();
    let mut builder = Builder::new(file, text, diagnostics);
    let mut parser = Parser::new_from_str(text);
    let outcome = builder.run(&mut parser);
    if let Err(Stop::Scan(error)) = &outcome {
        let at = builder.offsets.exact(text, error.marker().index());
        let diagnostic = syntax::explain(error.info(), file, text, at);
        builder.diagnostics.push(diagnostic);
    }
    outcome.is_ok().then_some(builder.root)?
}

/// Why reading ended before the end of the file.
enum Stop {
    Scan(ScanError),
    /// A diagnostic was made.
    Said,
}

/// The parser counts characters, everything else bytes.
struct Offsets {
    /// The byte of every 64th character; empty if the text is ASCII.
    marks: Vec<u32>,
    len: usize,
}

impl Offsets {
    const STEP: usize = 64;

    fn of(text: &str) -> Self {
        let marks = if text.is_ascii() {
            Vec::new()
        } else {
            let starts = text.char_indices().step_by(Self::STEP);
            starts
                .map(|(at, _)| u32::try_from(at).unwrap_or(u32::MAX))
                .collect()
        };
        Self {
            marks,
            len: text.len(),
        }
    }

    fn byte(&self, index: usize) -> usize {
        if self.marks.is_empty() {
            index.min(self.len)
        } else {
            self.marks
                .get(index / Self::STEP)
                .map_or(self.len, |&at| at as usize)
        }
    }

    fn exact(&self, text: &str, index: usize) -> usize {
        let from = self.byte(index);
        if self.marks.is_empty() {
            return from;
        }
        let rest = text.get(from..).unwrap_or_default();
        rest.char_indices()
            .nth(index % Self::STEP)
            .map_or(self.len, |(at, _)| from + at)
    }
}

/// A finished node with what its aliases will cost.
#[derive(Clone)]
struct Finished {
    node: Node,
    /// Nodes in it, itself included.
    weight: usize,
    /// Collections within it, itself included.
    height: usize,
}

enum Content {
    Seq(Vec<Node>),
    Map {
        entries: Vec<Entry>,
        index: KeyIndex,
        key: Option<(Arc<str>, Span, bool)>,
        merges: Vec<Node>,
    },
}

struct Frame {
    content: Content,
    start: usize,
    anchor: usize,
    weight: usize,
    height: usize,
}

struct Builder<'a> {
    file: FileId,
    text: &'a str,
    offsets: Offsets,
    diagnostics: &'a mut Vec<Diagnostic>,
    stack: Vec<Frame>,
    anchors: Vec<Option<Finished>>,
    aliased: usize,
    documents: usize,
    keys: FxHashSet<Arc<str>>,
    root: Option<Node>,
}

impl<'a> Builder<'a> {
    fn new(file: FileId, text: &'a str, diagnostics: &'a mut Vec<Diagnostic>) -> Self {
        Self {
            file,
            text,
            offsets: Offsets::of(text),
            diagnostics,
            stack: Vec::new(),
            anchors: Vec::new(),
            aliased: 0,
            documents: 0,
            keys: FxHashSet::default(),
            root: None,
        }
    }

    fn run(&mut self, parser: &mut Parser<'a, StrInput<'a>>) -> Result<(), Stop> {
        while let Some(event) = parser.next_event() {
            let (event, span) = event.map_err(Stop::Scan)?;
            let start = self.offsets.exact(self.text, span.start.index());
            let end = self.offsets.exact(self.text, span.end.index());
            self.event(event, Span::new(self.file, start, end))?;
        }
        Ok(())
    }

    fn event(&mut self, event: Event<'a>, span: Span) -> Result<(), Stop> {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) => self.document(span),
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain && !self.is_string(tag.as_deref(), span);
                let scalar = Scalar {
                    text: self.text_of(&text),
                    plain,
                };
                let node = Node {
                    span,
                    value: Value::Scalar(scalar),
                };
                self.finish(node, 1, 0, anchor)
            }
            Event::Alias(anchor) => self.alias(anchor, span),
            Event::SequenceStart(anchor, tag) => {
                self.is_string(tag.as_deref(), span);
                self.open(Content::Seq(Vec::new()), anchor, span)
            }
            Event::MappingStart(anchor, tag) => {
                self.is_string(tag.as_deref(), span);
                let content = Content::Map {
                    entries: Vec::new(),
                    index: KeyIndex::Small,
                    key: None,
                    merges: Vec::new(),
                };
                self.open(content, anchor, span)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span),
        }
    }

    /// The text of a scalar. The keys of a file are few and come often, so they are shared.
    fn text_of(&mut self, text: &str) -> Arc<str> {
        let is_key = matches!(
            self.stack.last(),
            Some(Frame {
                content: Content::Map { key: None, .. },
                ..
            })
        );
        if !is_key || text.len() > MAX_SHARED_KEY {
            return text.into();
        }
        if let Some(key) = self.keys.get(text) {
            return key.clone();
        }
        let key: Arc<str> = text.into();
        if self.keys.len() < MAX_SHARED_KEYS {
            self.keys.insert(key.clone());
        }
        key
    }

    fn say<T>(&mut self, diagnostic: Diagnostic) -> Result<T, Stop> {
        self.diagnostics.push(diagnostic);
        Err(Stop::Said)
    }

    fn document(&mut self, span: Span) -> Result<(), Stop> {
        self.documents += 1;
        if self.documents == 1 {
            return Ok(());
        }
        self.say(
            Diagnostic::syntax(span, "a second document in one file")
                .label("it starts here")
                .help("put it into a file of its own and name that under `include`"),
        )
    }

    /// Whether the tag makes a string of any scalar; a tag that pk does not know is said.
    fn is_string(&mut self, tag: Option<&Tag>, span: Span) -> bool {
        let Some(tag) = tag else {
            return false;
        };
        let core = tag.is_yaml_core_schema();
        match tag.suffix.as_str() {
            "str" if core => return true,
            "" if tag.handle == "!" => return true,
            "int" | "float" | "bool" | "null" | "map" | "seq" if core => {}
            _ => self.diagnostics.push(
                Diagnostic::syntax(span, format!("unknown tag {}", quoted(&tag.to_string())))
                    .label("this value has it")
                    .help("remove the tag: values need none here"),
            ),
        }
        false
    }

    fn open(&mut self, content: Content, anchor: usize, span: Span) -> Result<(), Stop> {
        if self.stack.len() >= MAX_DEPTH {
            return self.say(too_deep(span));
        }
        if let Some(Frame {
            content: Content::Map { key: None, .. },
            ..
        }) = self.stack.last()
        {
            return self.say(
                Diagnostic::syntax(span, "a list or a map as a key")
                    .label("expected a word followed by `:`")
                    .help("quote a value that starts with `{` or `[`, such as `\"{x}\"`"),
            );
        }
        self.stack.push(Frame {
            content,
            start: span.start as usize,
            anchor,
            weight: 1,
            height: 1,
        });
        Ok(())
    }

    fn close(&mut self, span: Span) -> Result<(), Stop> {
        let Some(frame) = self.stack.pop() else {
            return Ok(());
        };
        let span = Span::new(self.file, frame.start, span.end as usize);
        let mut weight = frame.weight;
        let value = match frame.content {
            Content::Seq(items) => Value::Seq(items.into()),
            Content::Map {
                mut entries,
                index,
                merges,
                ..
            } => {
                if !merges.is_empty() {
                    weight += self.merge_keys(&mut entries, index, &merges)?;
                }
                Value::Map(Arc::new(Map { entries }))
            }
        };
        self.finish(Node { span, value }, weight, frame.height, frame.anchor)
    }

    /// Adds what `<<` names: the map's own keys win, then earlier maps over later ones.
    fn merge_keys(
        &mut self,
        entries: &mut Vec<Entry>,
        mut index: KeyIndex,
        merges: &[Node],
    ) -> Result<usize, Stop> {
        let before = entries.len();
        for merge in merges {
            let nodes = match &merge.value {
                Value::Seq(items) => &items[..],
                Value::Map(_) | Value::Scalar(_) => std::slice::from_ref(merge),
            };
            for node in nodes {
                let Some(map) = node.as_map() else {
                    self.diagnostics.push(
                        Diagnostic::syntax(node.span, "`<<` can merge only maps")
                            .label(format!("expected a map, found {}", node.describe()))
                            .help("write `<<: *anchor`, or `<<: [*one, *two]`"),
                    );
                    continue;
                };
                self.charge(map.entries.len(), merge.span)?;
                for entry in &map.entries {
                    if index.find(entries, &entry.key).is_none() {
                        entries.push(entry.clone());
                        index.pushed(entries);
                    }
                }
            }
        }
        Ok(entries.len() - before)
    }

    fn charge(&mut self, nodes: usize, span: Span) -> Result<(), Stop> {
        self.aliased = self.aliased.saturating_add(nodes);
        if self.aliased <= MAX_ALIASED {
            return Ok(());
        }
        self.say(
            Diagnostic::syntax(
                span,
                format!("aliases make this file grow beyond {MAX_ALIASED} values"),
            )
            .label("this is one too many")
            .help("anchors that hold aliases of anchors multiply; write out what is needed"),
        )
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<(), Stop> {
        let Some(Some(target)) = self.anchors.get(anchor) else {
            return self.say(
                Diagnostic::syntax(span, "an alias inside of what it stands for")
                    .label("the anchor is not complete here"),
            );
        };
        let Finished {
            node,
            weight,
            height,
        } = target.clone();
        self.charge(weight, span)?;
        if self.stack.len() + height > MAX_DEPTH {
            return self.say(too_deep(span));
        }
        let node = Node {
            span,
            value: node.value,
        };
        self.finish(node, weight, height, 0)
    }

    /// Puts a complete node where it belongs.
    fn finish(
        &mut self,
        node: Node,
        weight: usize,
        height: usize,
        anchor: usize,
    ) -> Result<(), Stop> {
        if anchor > 0 {
            if self.anchors.len() <= anchor {
                self.anchors.resize(anchor + 1, None);
            }
            self.anchors[anchor] = Some(Finished {
                node: node.clone(),
                weight,
                height,
            });
        }
        let Some(frame) = self.stack.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        frame.weight = frame.weight.saturating_add(weight);
        frame.height = frame.height.max(height + 1);
        match &mut frame.content {
            Content::Seq(items) => items.push(node),
            Content::Map {
                entries,
                index,
                key,
                merges,
            } => match key.take() {
                None => {
                    let Value::Scalar(scalar) = node.value else {
                        return self.say(
                            Diagnostic::syntax(node.span, "a list or a map as a key")
                                .label("expected a word followed by `:`"),
                        );
                    };
                    *key = Some((scalar.text, node.span, scalar.plain));
                }
                Some((text, _, true)) if &*text == "<<" => merges.push(node),
                Some((text, key_span, _)) => {
                    if let Some(first) = index.find(entries, &text) {
                        let first = entries[first].key_span;
                        self.diagnostics.push(
                            Diagnostic::syntax(
                                key_span,
                                format!("the key {} is given twice", quoted(&text)),
                            )
                            .label("the second time")
                            .and(first, "the first time")
                            .help("remove one, or put what both say under one key"),
                        );
                    } else {
                        entries.push(Entry {
                            key: text,
                            key_span,
                            value: node,
                        });
                        index.pushed(entries);
                    }
                }
            },
        }
        Ok(())
    }
}

fn too_deep(span: Span) -> Diagnostic {
    Diagnostic::syntax(
        span,
        format!("lists and maps nested more than {MAX_DEPTH} levels deep"),
    )
    .label("this one is too deep")
}
