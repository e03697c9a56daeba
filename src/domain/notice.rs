//! What a unit says of itself, by the protocol of `sd_notify(3)`: lines of `NAME=value`.

use std::time::Duration;

/// One thing that a unit says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// `READY=1`: it has started, or has loaded its configuration again.
    Ready,
    /// `RELOADING=1`, until it is ready again.
    Reloading,
    /// `STOPPING=1`: it ends by itself.
    Stopping,
    /// `STATUS=`: in words; none takes back what it said before.
    Status(Option<String>),
    /// `WATCHDOG=1`: it is alive.
    Alive,
    /// `WATCHDOG=trigger`: it is not well, and wants to be treated as if it were silent.
    Unwell,
    /// `EXTEND_TIMEOUT_USEC=`: it needs so much more time from now on to be ready.
    Extend(Duration),
}

/// How long a status may be, in characters; the rest is cut.
const STATUS_LENGTH: usize = 200;

/// The longest extension that is granted at a time.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// What one datagram says, in its order. What pk has no use for is left out: `MAINPID`, as
/// the first process of a run is its child and known; descriptors to keep, and whatever a
/// later protocol adds.
#[must_use]
pub fn parse(datagram: &[u8]) -> Vec<Notice> {
    let text = String::from_utf8_lossy(datagram);
    text.split('\n').filter_map(notice).collect()
}

fn notice(line: &str) -> Option<Notice> {
    let (name, value) = line.split_once('=')?;
    match (name, value.trim()) {
        ("READY", "1") => Some(Notice::Ready),
        ("RELOADING", "1") => Some(Notice::Reloading),
        ("STOPPING", "1") => Some(Notice::Stopping),
        ("WATCHDOG", "1") => Some(Notice::Alive),
        ("WATCHDOG", "trigger") => Some(Notice::Unwell),
        ("EXTEND_TIMEOUT_USEC", number) => {
            let extension = Duration::from_micros(number.parse().ok()?);
            Some(Notice::Extend(extension.min(LONGEST)))
        }
        ("STATUS", text) => Some(Notice::Status(status(text))),
        _ => None,
    }
}

/// It is shown in terminals: nothing in it may steer one.
fn status(text: &str) -> Option<String> {
    let printable = |c: char| if c.is_control() { ' ' } else { c };
    let mut shown: String = text.chars().take(STATUS_LENGTH).map(printable).collect();
    if text.chars().nth(STATUS_LENGTH).is_some() {
        shown.push('…');
    }
    (!shown.trim().is_empty()).then_some(shown)
}

/// What a run has said of itself so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    pub status: Option<String>,
    pub reloading: bool,
    pub stopping: bool,
}

impl Said {
    /// Takes what is to be shown of it.
    pub fn take(&mut self, notice: Notice) {
        match notice {
            Notice::Ready => self.reloading = false,
            Notice::Reloading => self.reloading = true,
            Notice::Stopping => self.stopping = true,
            Notice::Status(status) => self.status = status,
            Notice::Alive | Notice::Unwell | Notice::Extend(_) => {}
        }
    }

    /// In words; `None`: there is nothing to be shown.
    #[must_use]
    pub fn words(&self) -> Option<String> {
        let doing = match self {
            Self { stopping: true, .. } => Some("stopping"),
            Self {
                reloading: true, ..
            } => Some("reloading"),
            Self { .. } => None,
        };
        match (doing, &self.status) {
            (Some(doing), Some(status)) => Some(format!("{doing}, {status}")),
            (Some(doing), None) => Some(doing.to_owned()),
            (None, status) => status.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_is_lines_of_names_and_values() {
        let said = parse(b"STATUS=loading 3 of 7\nREADY=1\nMAINPID=4\nX_OWN=1\nWATCHDOG=1\n");
        let status = Notice::Status(Some("loading 3 of 7".to_owned()));
        assert_eq!(said, [status, Notice::Ready, Notice::Alive]);
        assert_eq!(
            parse(b"RELOADING=1\nMONOTONIC_USEC=5\nSTOPPING=1\nWATCHDOG=trigger"),
            [Notice::Reloading, Notice::Stopping, Notice::Unwell]
        );
        assert_eq!(parse(b"READY=0\nready=1\n\0\xff\n=\nREADY"), []);
        assert_eq!(
            parse(b"EXTEND_TIMEOUT_USEC=1500000\nEXTEND_TIMEOUT_USEC=x"),
            [Notice::Extend(Duration::from_millis(1500))]
        );
        let most = format!("EXTEND_TIMEOUT_USEC={}", u64::MAX);
        assert_eq!(parse(most.as_bytes()), [Notice::Extend(LONGEST)]);
    }

    #[test]
    fn a_status_is_one_short_line_without_control_characters() {
        let status = |text: &str| {
            let mut said = Said::default();
            said.take(parse(format!("STATUS={text}").as_bytes()).remove(0));
            said.status
        };
        assert_eq!(status("\x1b[31mred\x07"), Some(" [31mred ".to_owned()));
        assert_eq!(status(""), None);
        let long = status(&"é".repeat(500)).unwrap();
        assert_eq!(long.chars().count(), STATUS_LENGTH + 1);
    }

    #[test]
    fn what_was_said_last_holds() {
        let mut said = Said::default();
        assert_eq!(said.words(), None);
        said.take(Notice::Status(Some("7 clients".to_owned())));
        said.take(Notice::Reloading);
        assert_eq!(said.words().as_deref(), Some("reloading, 7 clients"));
        said.take(Notice::Ready);
        assert_eq!(said.words().as_deref(), Some("7 clients"));
        said.take(Notice::Status(None));
        said.take(Notice::Stopping);
        assert_eq!(said.words().as_deref(), Some("stopping"));
    }
}
