//! What reading a configuration carries along: texts, diagnostics, variables and ports.
//!
//! This module owns how a `${…}` in the file becomes a value or a diagnostic at its place.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::diagnostic::Diagnostic;
use super::interpolate::{self, Fault, Names, PortFault};
use super::source::{Sources, Span};
use super::suggest;
use super::tree::{Node, Scalar, Value};
use crate::domain::spec::EnvMap;

/// Beyond this many, suggestions cost more than they help.
const MAX_SUGGESTIONS: u32 = 200;

/// A port of a unit, as the file has it.
#[derive(Debug)]
pub(super) struct PortEntry {
    pub name: Arc<str>,
    pub value: Node,
    /// Of the file that defines the unit.
    pub variables: Arc<EnvMap>,
}

pub(super) type PortTable = FxHashMap<Arc<str>, Vec<PortEntry>>;

pub(super) struct Cx<'a> {
    pub sources: Sources,
    pub diagnostics: Vec<Diagnostic>,
    /// The environment of pk itself.
    pub os: &'a BTreeMap<String, String>,
    /// From the env files of the file being read; the environment of pk wins.
    pub variables: Arc<EnvMap>,
    pub ports: PortTable,
    /// Variables of pk's environment that are no text.
    pub unreadable: Option<&'a BTreeSet<String>>,
    /// All units by name; `None` until every file is read.
    pub units: Option<FxHashSet<Arc<str>>>,
    /// Maps whose keys were listed: once is enough.
    pub listed: FxHashSet<&'static str>,
    /// Env files that were read, by their path.
    pub env_files: FxHashMap<PathBuf, Rc<EnvMap>>,
    /// Regular expressions that were proved valid.
    pub patterns: FxHashSet<Arc<str>>,
    /// Picks the numbers of ports that are left to pk.
    pub picker: Option<&'a PortPicker<'a>>,
    suggestions: u32,
}

/// From a unit and the name of one of its ports to a number.
pub type PortPicker<'a> = dyn Fn(&str, &str) -> Option<u16> + 'a;

impl<'a> Cx<'a> {
    pub(super) fn new(sources: Sources, os: &'a BTreeMap<String, String>) -> Self {
        Self {
            sources,
            diagnostics: Vec::new(),
            os,
            variables: Arc::default(),
            ports: PortTable::default(),
            unreadable: None,
            units: None,
            listed: FxHashSet::default(),
            env_files: FxHashMap::default(),
            patterns: FxHashSet::default(),
            picker: None,
            suggestions: 0,
        }
    }

    pub(super) fn pick(&self, unit: &str, port: &str) -> Option<u16> {
        self.picker.and_then(|pick| pick(unit, port))
    }

    pub(super) fn say(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// Whether something within was said just now: what follows from it need not be.
    pub(super) fn complained_within(&self, span: Span) -> bool {
        let recent = self.diagnostics.iter().rev().take(20);
        recent
            .filter_map(Diagnostic::span)
            .any(|said| said.file == span.file && said.start >= span.start && said.end <= span.end)
    }

    /// Looks for a suggestion, unless enough were made.
    pub(super) fn suggest(&mut self, find: impl FnOnce() -> Option<String>) -> Option<String> {
        self.suggestions += 1;
        (self.suggestions <= MAX_SUGGESTIONS).then(find).flatten()
    }

    pub(super) fn interpolate(&mut self, scalar: &Scalar, span: Span) -> Option<Arc<str>> {
        let mut faults = Vec::new();
        let scope = self.scope();
        let text = interpolate::interpolate(&scalar.text, &scope, &mut faults);
        if faults.is_empty() {
            return Some(text.into());
        }
        for fault in faults {
            let span = self.part(scalar, span, &fault);
            let diagnostic = Diagnostic::meaning(span, fault.message).label(fault.label);
            self.say(diagnostic.maybe_help(fault.help));
        }
        None
    }

    /// What names stand for in an env file.
    pub(super) fn outer_names(&self) -> impl Names + '_ {
        self.scope()
    }

    fn scope(&self) -> Scope<'_> {
        Scope {
            os: self.os,
            unreadable: self.unreadable,
            variables: &self.variables,
            ports: &self.ports,
            units: self.units.as_ref(),
            picker: self.picker,
            depth: 0,
        }
    }

    /// The place in the file of a part of a scalar's text.
    pub(super) fn part(&self, scalar: &Scalar, span: Span, fault: &Fault) -> Span {
        self.part_of(&scalar.text, span, fault.range.clone())
    }

    /// Quotes and escapes make the text differ from the file, so it is looked for there:
    /// the same part, as often as it occurs before.
    pub(super) fn part_of(&self, text: &str, span: Span, range: std::ops::Range<usize>) -> Span {
        let raw = self.sources.slice(span);
        let Some(part) = text.get(range.clone()).filter(|part| !part.is_empty()) else {
            return span;
        };
        if raw == text {
            return span.part(range.start, range.end);
        }
        let before = text[..range.start].matches(part).count();
        match raw.match_indices(part).nth(before) {
            Some((at, _)) => span.part(at, at + part.len()),
            None => span,
        }
    }
}

/// What names stand for at one place.
struct Scope<'a> {
    os: &'a BTreeMap<String, String>,
    unreadable: Option<&'a BTreeSet<String>>,
    variables: &'a EnvMap,
    ports: &'a PortTable,
    units: Option<&'a FxHashSet<Arc<str>>>,
    picker: Option<&'a PortPicker<'a>>,
    /// Ports looked up on the way here.
    depth: u8,
}

impl Names for Scope<'_> {
    fn variable(&self, name: &str) -> Option<String> {
        self.os
            .get(name)
            .or_else(|| self.variables.get(name))
            .cloned()
    }

    fn is_unreadable(&self, name: &str) -> bool {
        self.unreadable.is_some_and(|names| names.contains(name))
    }

    fn similar(&self, name: &str) -> Option<String> {
        let names = self.os.keys().chain(self.variables.keys());
        suggest::closest(name, names.map(String::as_str)).map(str::to_owned)
    }

    fn port(&self, unit: &str, port: &str) -> Result<String, PortFault> {
        let fault = |message: String, help: Option<String>| Err(PortFault { message, help });
        let Some(ports) = self.ports.get(unit) else {
            let Some(units) = self.units else {
                let help = "set the variable under `environment` in the file itself";
                let message = "ports are not known yet where this file is read";
                return fault(message.into(), Some(help.into()));
            };
            if units.contains(unit) {
                let help = format!("give it one: `ports: {{{port}: auto}}`");
                return fault(format!("the unit `{unit}` has no ports"), Some(help));
            }
            let help = suggest::did_you_mean(unit, units.iter().map(|name| &**name));
            return fault(format!("no unit is named `{unit}`"), help);
        };
        let Some(entry) = ports.iter().find(|entry| &*entry.name == port) else {
            let names = || ports.iter().map(|entry| &*entry.name);
            let help = suggest::did_you_mean(port, names())
                .unwrap_or_else(|| format!("it has {}", suggest::one_of(names())));
            return fault(format!("`{unit}` has no port `{port}`"), Some(help));
        };
        if self.depth >= 8 {
            return fault("these ports refer to each other in a circle".into(), None);
        }
        let Value::Scalar(scalar) = &entry.value.value else {
            return fault(
                format!("the port `{port}` of `{unit}` is not a number"),
                None,
            );
        };
        if &*scalar.text == "auto" {
            // Where nothing is to run any number is as good.
            let number = self.picker.and_then(|pick| pick(unit, port));
            return Ok(number.unwrap_or(0).to_string());
        }
        let scope = Scope {
            variables: &entry.variables,
            depth: self.depth + 1,
            ..*self
        };
        let mut faults = Vec::new();
        let text = interpolate::interpolate(&scalar.text, &scope, &mut faults);
        match faults.pop() {
            None => Ok(text),
            Some(inner) => fault(inner.message, inner.help),
        }
    }
}
