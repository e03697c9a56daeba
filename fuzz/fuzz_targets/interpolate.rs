//! Any text with names: what is found lies in the text, and what has no `$` stays as it is.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pk::config::interpolate::{Names, PortFault, interpolate, is_interpolated, port_reference};

struct Few;

impl Names for Few {
    fn variable(&self, name: &str) -> Option<String> {
        match name {
            "A" => Some("value".to_owned()),
            "EMPTY" => Some(String::new()),
            "NEST" => Some("${A}".to_owned()),
            _ => None,
        }
    }

    fn similar(&self, name: &str) -> Option<String> {
        name.starts_with('A').then(|| "A".to_owned())
    }

    fn port(&self, unit: &str, name: &str) -> Result<String, PortFault> {
        match (unit, name) {
            ("web", "http") => Ok("8080".to_owned()),
            _ => Err(PortFault {
                message: "no such port".to_owned(),
                help: None,
            }),
        }
    }
}

fuzz_target!(|text: &str| {
    let mut faults = Vec::new();
    let out = interpolate(text, &Few, &mut faults);
    for fault in &faults {
        assert!(text.get(fault.range.clone()).is_some(), "{fault:?}");
    }
    if !text.contains('$') {
        assert_eq!(out, text);
        assert!(faults.is_empty() && !is_interpolated(text));
    }
    if let Some((range, ..)) = port_reference(text) {
        assert!(text.get(range).is_some());
    }
});
