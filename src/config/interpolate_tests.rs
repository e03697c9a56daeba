use proptest::prelude::*;

use super::*;

struct Fixed;

impl Names for Fixed {
    fn variable(&self, name: &str) -> Option<String> {
        match name {
            "A" => Some("1".into()),
            "EMPTY" => Some(String::new()),
            "HOST" => Some("h$x".into()),
            _ => None,
        }
    }

    fn similar(&self, name: &str) -> Option<String> {
        (name == "HOTS").then(|| "HOST".into())
    }

    fn port(&self, unit: &str, port: &str) -> Result<String, PortFault> {
        if (unit, port) == ("my.api", "http") {
            return Ok("80".into());
        }
        Err(PortFault {
            message: format!("no {unit} {port}"),
            help: None,
        })
    }
}

fn run(text: &str) -> (String, Vec<Fault>) {
    let mut faults = Vec::new();
    let out = interpolate(text, &Fixed, &mut faults);
    (out, faults)
}

fn good(text: &str) -> String {
    let (out, faults) = run(text);
    assert_eq!(faults, [], "{text}");
    out
}

#[test]
fn the_forms() {
    assert_eq!(good("a${A}b"), "a1b");
    assert_eq!(good("${X:-d}${EMPTY:-e}${A:-f}"), "de1");
    assert_eq!(good("${X:-${Y:-${A}}}"), "1");
    assert_eq!(good("${A:+y}${X:+n}${EMPTY:+n}"), "y");
    assert_eq!(good("${A:?needed}"), "1");
    assert_eq!(good("${EMPTY}"), "");
    assert_eq!(good("$$A $${A} ^a$ $1 $(x) $"), "$A ${A} ^a$ $1 $(x) $");
    assert_eq!(good("${HOST}"), "h$x");
    assert_eq!(good("${my.api.ports.http}"), "80");
    assert_eq!(good("${X:-a}b}"), "ab}");
}

#[test]
fn faults_point_at_the_reference() {
    for (text, part, message) in [
        ("x ${NOPE} y", "${NOPE}", "the variable `NOPE` is not set"),
        (
            "${X:-é${NOPE}}",
            "${NOPE}",
            "the variable `NOPE` is not set",
        ),
        ("${X:?say why}", "${X:?say why}", "`X` is not set: say why"),
        ("a $HOME", "$HOME", "`$HOME` without braces"),
        ("a ${A", "${A", "a `${` without its `}`"),
        ("${}", "${}", "`${}` is not a form that pk knows"),
        ("${X-y}", "${X-y}", "`${X-y}` is not a form that pk knows"),
        ("${b.ports.c}", "${b.ports.c}", "no b c"),
    ] {
        let (_, faults) = run(text);
        assert_eq!(faults.len(), 1, "{text}");
        assert_eq!(&text[faults[0].range.clone()], part);
        assert_eq!(faults[0].message, message);
    }
    assert!(
        run("${HOTS}").1[0]
            .help
            .as_deref()
            .unwrap()
            .contains("${HOST}")
    );
    assert!(
        run("${X-y}").1[0]
            .help
            .as_deref()
            .unwrap()
            .contains("${X:-y}")
    );
}

#[test]
fn ports_left_to_a_shell_are_seen() {
    let text = "curl ${X} localhost:${api.ports.http}/";
    let (range, unit, port) = port_reference(text).unwrap();
    assert_eq!(
        (&text[range], unit, port),
        ("${api.ports.http}", "api", "http")
    );
    assert_eq!(port_reference("${api#.ports.} ${a.ports."), None);
}

proptest! {
    #[test]
    fn nothing_panics_and_faults_lie_within(text in "([$]|[$][{]|:-|:[+]|A|EMPTY|[}]|.){0,24}") {
        let (_, faults) = run(&text);
        for fault in faults {
            prop_assert!(text.get(fault.range).is_some());
        }
    }

    #[test]
    fn a_text_without_dollars_is_itself(text in "[^$]{0,40}") {
        prop_assert_eq!(good(&text), text);
    }

    #[test]
    fn doubling_every_dollar_keeps_the_text(text in "([$]|[{]|[}]|a|:-){0,20}") {
        prop_assert_eq!(good(&text.replace('$', "$$")), text);
    }
}
