//! The dashboard in its place: whether there is one, what it is told, what it may not do by
//! itself.

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use ratatui::layout::Size;
use tokio::sync::watch;

use super::args::Place;
use super::exit::End;
use super::face_config::FaceConfig;
use super::output::Output;
use super::running::{self, takeover};
use super::signals::Signals;
use super::{explain, stack};
use crate::contain;
use crate::control::ControlPort;
use crate::domain::event::{Command, Shutdown, ShutdownCause};
use crate::domain::id::UnitName;
use crate::domain::plan::Plan;
use crate::domain::signal::Signal;
use crate::tui::{self, Hooks, Keymap, Left, Pages, Role, Start, ThemeName};

/// Whether somebody sits at a terminal that can show one.
#[must_use]
pub fn is_possible(output: &Output) -> bool {
    let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb" || term.is_empty());
    output.terminal && io::stdin().is_terminal() && !is_dumb
}

/// What a dashboard is made of.
#[derive(Clone)]
pub struct Dashboard {
    place: Place,
    /// The main file.
    file: PathBuf,
    plan: Option<Arc<Plan>>,
    role: Role,
    mechanism: Option<String>,
    theme: ThemeName,
    keymap: Keymap,
    mouse: bool,
    unit: Option<String>,
    output: Output,
}

impl std::fmt::Debug for Dashboard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dashboard")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

impl Dashboard {
    /// Reads how the person wants it.
    ///
    /// # Errors
    /// Their configuration is wrong, which was said.
    pub fn new(
        place: &Place,
        file: PathBuf,
        plan: Option<Arc<Plan>>,
        role: Role,
        mechanism: Option<String>,
        output: &Output,
    ) -> Result<Self, End> {
        let config = FaceConfig::read().map_err(|report| {
            output.complain(report.render(output.err.has_color()).trim_end());
            output.complain("\n");
            End::Usage
        })?;
        Ok(Self {
            place: place.clone(),
            file,
            plan,
            role,
            mechanism,
            theme: theme(&config, output),
            keymap: config.keymap,
            mouse: config.mouse,
            unit: None,
            output: *output,
        })
    }

    /// With that unit or instance chosen.
    #[must_use]
    pub fn on(mut self, unit: Option<&str>) -> Self {
        self.unit = unit.map(str::to_owned);
        self
    }

    /// Shows the stack until it ends or somebody leaves, and passes signals on to it: of one
    /// that is this process's, the first stops it and the second kills it.
    ///
    /// # Errors
    /// There is no terminal.
    pub async fn show(
        self,
        port: &Arc<dyn ControlPort>,
        signals: &mut Signals,
    ) -> io::Result<Left> {
        let (terminate, terminated) = watch::channel(false);
        let role = self.role;
        // Before the terminal is taken, to know it as it was.
        let guard = contain::ScreenGuard::start().map(Arc::new);
        if let Some(guard) = &guard {
            guard.taken();
        }
        let mut left = tui::start(
            Arc::clone(port),
            self.start(&**port),
            self.hooks(guard.as_ref()),
            terminated,
        );
        let mut asked = false;
        let mut gone = std::pin::pin!(tui::gone());
        let left = loop {
            tokio::select! {
                left = &mut left => {
                    break left.map_err(|_| io::Error::other("the dashboard has panicked"))??;
                }
                // It does not say so any more.
                () = &mut gone => break Left::Closed,
                signal = signals.next() => {
                    let _ = terminate.send(true);
                    if matches!(role, Role::Owner { .. }) {
                        let how = if asked { Shutdown::Now } else { Shutdown::Graceful };
                        asked = true;
                        ask(port, how, signal).await;
                    }
                }
            }
        };
        if left == Left::Closed && matches!(role, Role::Owner { .. }) {
            ask(port, Shutdown::Graceful, Signal::HUP).await;
        }
        Ok(left)
    }

    fn start(&self, port: &dyn ControlPort) -> Start {
        Start {
            role: self.role,
            snapshot: Arc::clone(&port.snapshots().borrow()),
            now: port.now(),
            wall: Timestamp::now(),
            zone: TimeZone::system(),
            // The loop asks the terminal itself.
            size: Size::new(80, 24),
            theme: self.theme,
            keymap: self.keymap.clone(),
            plan: self.plan.clone(),
            mechanism: self.mechanism.clone(),
            pages: pages(),
            mouse: self.mouse,
            unit: self.unit.clone(),
        }
    }

    fn hooks(&self, guard: Option<&Arc<contain::ScreenGuard>>) -> Hooks {
        // It knows who draws.
        let lent = || {
            let guard = guard.cloned();
            move |is_lent: bool| match &guard {
                Some(guard) if is_lent => guard.given_back(),
                Some(guard) => guard.taken(),
                None => {}
            }
        };
        let (to_shell, to_editor, to_unit) = (lent(), lent(), lent());
        let file = self.file.clone();
        let place = self.place.clone();
        let (of_stack, output) = (self.place.clone(), self.output);
        Hooks {
            suspend: Box::new(contain::suspend_job),
            stop: Box::new(move || {
                to_shell(true);
                contain::stop_self();
                to_shell(false);
            }),
            edit: Box::new(move || {
                to_editor(true);
                let done = edit(&file);
                to_editor(false);
                done
            }),
            lend: Box::new(move |unit| {
                to_unit(true);
                let done = lend(&of_stack, unit, output);
                to_unit(false);
                done
            }),
            plan: Arc::new(move || stack::plan_of(&place).ok().map(Arc::new)),
        }
    }
}

async fn ask(port: &Arc<dyn ControlPort>, how: Shutdown, signal: Signal) {
    // A refusal means that it stops already, an error that it has.
    let cause = ShutdownCause::Signal(signal);
    let _ = port.command(Command::Shutdown(how, cause)).await;
}

/// The theme that was asked for, or that the terminal can show.
fn theme(config: &FaceConfig, output: &Output) -> ThemeName {
    if !output.out.has_color() {
        return ThemeName::Plain;
    }
    let has = |name: &str, values: &[&str]| {
        std::env::var(name).is_ok_and(|value| values.iter().any(|part| value.contains(part)))
    };
    let many = has("COLORTERM", &["truecolor", "24bit"])
        || has(
            "TERM",
            &[
                "256",
                "direct",
                "kitty",
                "alacritty",
                "ghostty",
                "foot",
                "tmux",
            ],
        );
    config.theme.unwrap_or(if many {
        ThemeName::Dark
    } else {
        ThemeName::Sixteen
    })
}

fn edit(file: &std::path::Path) -> tui::Done {
    let editor = ["VISUAL", "EDITOR"]
        .into_iter()
        .find_map(|name| std::env::var_os(name).filter(|editor| !editor.is_empty()));
    let editor = editor.unwrap_or_else(|| "vi".into());
    let shown = editor.to_string_lossy().into_owned();
    match contain::run_in_terminal(&editor, file) {
        Ok(status) if status.success() => Ok(format!("edited {}", file.display())),
        Ok(status) => Err(format!("`{shown}` ended with {status}")),
        Err(error) => Err(format!("cannot run `{shown}`: {error}")),
    }
}

/// Starts a unit and lends it the terminal. On a thread of its own: the one of the dashboard is
/// within a runtime.
fn lend(place: &Place, unit: &UnitName, output: Output) -> tui::Done {
    let lent = std::thread::scope(|scope| {
        let lend = || match running::find(place, &output) {
            Ok(Some(found)) => takeover::from_dashboard(&found, unit, &output),
            Ok(None) | Err(_) => Err("the stack has no session".to_owned()),
        };
        scope.spawn(lend).join()
    });
    lent.unwrap_or_else(|_| Err(format!("{unit} could not be given the terminal")))
}

fn pages() -> Pages {
    Arc::new(|plan, unit| {
        let Some(spec) = plan.get(unit) else {
            return vec!["it is no longer in the file".to_owned()];
        };
        let page = explain::render(spec, plan);
        let mut lines: Vec<String> = page.lines().skip(1).map(str::to_owned).collect();
        lines.extend(explain::environment(spec));
        lines
    })
}
