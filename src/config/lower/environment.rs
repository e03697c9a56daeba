//! Variables of the file into maps.

use crate::config::context::Cx;
use crate::config::decode::Field;
use crate::config::diagnostic::Diagnostic;
use crate::config::raw::command::Variables;
use crate::config::snippet::quoted;
use crate::config::source::Span;
use crate::domain::spec::{EnvMap, Port, port_variable};

/// Adds the variables that the file gives.
pub(in crate::config) fn extend(out: &mut EnvMap, variables: &Field<Variables>, cx: &mut Cx<'_>) {
    match &variables.value {
        Variables::Map(table) => {
            for row in &table.0 {
                if is_settable(&row.key, row.key_span, cx) {
                    out.insert(row.key.to_string(), row.value.to_string());
                }
            }
        }
        Variables::List(list) => {
            for item in list {
                let Some((name, value)) = item.split_once('=') else {
                    cx.say(
                        Diagnostic::meaning(
                            item.span,
                            format!("{} is not of the form `NAME=value`", quoted(item)),
                        )
                        .label("expected `NAME=value`")
                        .help("every unit inherits the environment of pk anyway"),
                    );
                    continue;
                };
                if is_settable(name, item.span, cx) {
                    out.insert(name.to_owned(), value.to_owned());
                }
            }
        }
    }
}

/// What the operating system takes as a name is more than what a shell does.
fn is_settable(name: &str, span: Span, cx: &mut Cx<'_>) -> bool {
    let odd = |c: char| c == '=' || c.is_whitespace() || c.is_control();
    if !name.is_empty() && !name.contains(odd) {
        return true;
    }
    let tidy = name.trim().replace(odd, "_");
    let help = (!tidy.is_empty()).then(|| format!("did you mean `{tidy}`?"));
    cx.say(
        Diagnostic::meaning(span, format!("{} cannot name a variable", quoted(name)))
            .label("expected a name without `=` and blanks")
            .maybe_help(help),
    );
    false
}

/// What a unit is told of its ports. One that pk picks is known only where it is to run.
pub(in crate::config) fn add_ports<'p>(
    out: &mut EnvMap,
    ports: impl ExactSizeIterator<Item = (&'p String, &'p Port)>,
) {
    let only = ports.len() == 1;
    for (name, port) in ports {
        if let Port::Fixed(number) | Port::Auto(Some(number)) = port {
            out.insert(port_variable(name), number.to_string());
            if only {
                out.insert("PORT".to_owned(), number.to_string());
            }
        }
    }
}
