//! All that the dashboard knows and shows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use ratatui::layout::Size;

use super::digest::Digest;
use super::graph_plan::GraphPlan;
use super::history::{History, State};
use super::keymap::Keymap;
use super::known::Known;
use super::layout::{self, Areas};
use super::log::{LogPane, Shape};
use super::panes::Split;
use super::table::{Chosen, Row, Table};
use super::theme::{Theme, ThemeName, Tone};
use super::tty::Ttys;
use super::usage::Usage;
use crate::domain::event::Command;
use crate::domain::id::{Attempt, InstanceId};
use crate::domain::outcome::Outcome;
use crate::domain::plan::Plan;
use crate::domain::snapshot::{Snapshot, UnitView};
use crate::domain::time::Instant;
use crate::logs::LogLine;

/// Who is looking, which decides what leaving means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The stack ends with this face, unless it can be left behind.
    Owner { can_detach: bool },
    /// The stack belongs to another process.
    Guest,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum View {
    #[default]
    Overview,
    Graph,
    Timeline,
    Details,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Focus {
    #[default]
    Units,
    Log,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Zoom {
    #[default]
    None,
    Units,
    Log,
}

/// What a line that is being typed is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asking {
    Filter,
    Find,
    /// How many instances of that unit.
    Scale(String),
}

/// A window over the rest; it has all keys.
#[derive(Clone, Debug)]
pub enum Overlay {
    Help {
        scroll: usize,
    },
    Leave {
        chosen: usize,
    },
    Confirm {
        question: String,
        what: String,
        command: Command,
    },
    Palette {
        text: String,
        chosen: usize,
    },
    Signals {
        chosen: usize,
    },
    /// Typed at the bottom; `before` comes back on escape.
    Input {
        asking: Asking,
        text: String,
        before: String,
    },
}

/// One way to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaving {
    Stop,
    Kill,
    Detach,
    Stay,
}

/// A short answer at the bottom, for a while.
#[derive(Clone, Debug)]
pub struct Notice {
    pub text: String,
    pub tone: Tone,
    pub until: Instant,
}

/// What a unit's page says beside what the snapshot tells: lines of the file's meaning.
pub type Pages = Arc<dyn Fn(&Plan, &str) -> Vec<String> + Send + Sync>;

/// What the dashboard begins with.
#[derive(Clone)]
pub struct Start {
    pub role: Role,
    pub snapshot: Arc<Snapshot>,
    pub now: Instant,
    pub wall: Timestamp,
    pub zone: TimeZone,
    pub size: Size,
    pub theme: ThemeName,
    pub keymap: Keymap,
    /// `None`: the file cannot be read, so there is no graph.
    pub plan: Option<Arc<Plan>>,
    /// How processes are held, if that is known here.
    pub mechanism: Option<String>,
    pub pages: Pages,
    pub mouse: bool,
    /// The unit or instance to choose first.
    pub unit: Option<String>,
}

impl std::fmt::Debug for Start {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Start")
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

/// The state of the dashboard.
pub struct Model {
    pub role: Role,
    pub snapshot: Arc<Snapshot>,
    pub history: History,
    pub usage: Usage,
    /// When everything that is wanted was there for the first time.
    pub ready_at: Option<Instant>,
    pub now: Instant,
    pub wall: Timestamp,
    pub zone: TimeZone,
    pub size: Size,
    pub theme: Theme,
    pub keymap: Keymap,
    pub plan: Option<Arc<Plan>>,
    pub graph: Option<GraphPlan>,
    pub mechanism: Option<String>,
    pub pages: Pages,
    pub mouse: bool,

    pub view: View,
    pub focus: Focus,
    pub zoom: Zoom,
    /// Percent of the screen that the units get.
    pub split: u16,
    pub overlay: Option<Overlay>,
    pub notice: Option<Notice>,

    pub table: Table,
    pub rows: Vec<Row>,
    pub chosen: Option<Chosen>,
    /// The first row in view.
    pub top: usize,
    pub marked: BTreeSet<InstanceId>,
    /// The first row in view of the timeline, the details.
    pub scroll: usize,
    /// Of the pane that keys act on.
    pub log: LogPane,
    /// Several panes, each of a unit's own.
    pub split_panes: Option<Split>,
    /// So that the requests of two panes are told apart.
    pub logs_made: u64,
    pub ttys: Ttys,
    pub digest: Digest,

    /// What is looked up for the unit that the details are of.
    pub known: Known,
    /// The end of the log of each run that failed.
    pub tails: BTreeMap<(InstanceId, Attempt), Vec<LogLine>>,
    /// Failures that somebody has seen.
    pub seen: BTreeSet<(InstanceId, Attempt)>,
    pub dragging: Option<Dragging>,
}

/// What the mouse is moving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dragging {
    /// The line between the units and the panes.
    Divider,
    /// That after a pane.
    Seam(usize),
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Model")
            .field("view", &self.view)
            .field("chosen", &self.chosen)
            .finish_non_exhaustive()
    }
}

/// The signals of the menu, the most used first.
pub const SIGNALS: [&str; 12] = [
    "SIGHUP", "SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGQUIT", "SIGKILL", "SIGSTOP",
    "SIGCONT", "SIGWINCH", "SIGALRM", "SIGABRT",
];

impl Model {
    #[must_use]
    pub fn new(start: Start) -> Self {
        let graph = start.plan.as_deref().map(GraphPlan::new);
        let mut model = Self {
            role: start.role,
            snapshot: start.snapshot,
            history: History::default(),
            usage: Usage::default(),
            ready_at: None,
            now: start.now,
            wall: start.wall,
            zone: start.zone,
            size: start.size,
            theme: Theme::new(start.theme),
            keymap: start.keymap,
            plan: start.plan,
            graph,
            mechanism: start.mechanism,
            pages: start.pages,
            mouse: start.mouse,
            view: View::default(),
            focus: Focus::default(),
            zoom: Zoom::default(),
            split: 46,
            overlay: None,
            notice: None,
            table: Table::default(),
            rows: Vec::new(),
            chosen: None,
            top: 0,
            marked: BTreeSet::new(),
            scroll: 0,
            log: LogPane::following(),
            split_panes: None,
            logs_made: 0,
            ttys: Ttys::default(),
            digest: Digest::default(),
            known: Known::default(),
            tails: BTreeMap::new(),
            seen: BTreeSet::new(),
            dragging: None,
        };
        if let Some(name) = start.unit {
            let units = model.snapshot.units.iter();
            let unit = units.clone().find(|unit| unit.name.as_str() == name);
            let unit = unit.or_else(|| units.clone().find(|unit| unit.unit.as_str() == name));
            model.chosen = unit.map(|unit| Chosen::Unit(unit.id));
        }
        model.history.meet(&model.snapshot, false);
        model.settle();
        model
    }

    /// Brings rows, choice and scrolling in line with what has changed.
    pub fn settle(&mut self) {
        self.digest.take(&self.snapshot, self.plan.as_ref());
        self.rows = (self.table).rows(&self.snapshot, &self.history, &self.usage, self.now);
        let place = self.chosen_row();
        if place.is_none() {
            let old = self.top.min(self.rows.len().saturating_sub(1));
            let unit = |row: &Row| matches!(row, Row::Unit(_));
            let next = (self.rows.iter().skip(old))
                .position(unit)
                .map(|at| at + old);
            let next = next.or_else(|| self.rows.iter().rposition(unit));
            self.chosen = next
                .or((!self.rows.is_empty()).then_some(0))
                .and_then(|at| self.at(at));
        }
        self.marked.retain(|id| self.digest.place(*id).is_some());
        self.keep_chosen_in_view();
        self.note_ready();
        self.settle_panes();
        let selection = self.log_selection();
        self.log.select(selection);
    }

    fn note_ready(&mut self) {
        if self.ready_at.is_some() || self.snapshot.shutdown.is_some() {
            return;
        }
        let mut last = Instant::START;
        for unit in &self.snapshot.units {
            match State::of(unit) {
                State::Idle | State::Stopped => continue,
                State::Ready | State::Completed => {}
                State::Waiting
                | State::Starting
                | State::Unwell
                | State::Stopping
                | State::Backoff
                | State::Failed
                | State::Skipped => return,
            }
            // A task that runs is not done; a change may be on its way behind its snapshot.
            let history = self.history.get(unit.id);
            match history.and_then(|history| history.first_good(unit.kind)) {
                Some(at) => last = last.max(at),
                None => return,
            }
        }
        if last > Instant::START {
            self.ready_at = Some(last);
        }
    }

    /// What the row at that place chooses.
    #[must_use]
    pub fn at(&self, row: usize) -> Option<Chosen> {
        match self.rows.get(row)? {
            Row::Group { title, .. } => Some(Chosen::Group(title.clone())),
            Row::Unit(place) => Some(Chosen::Unit(self.snapshot.units.get(*place)?.id)),
        }
    }

    /// The row of what is chosen.
    #[must_use]
    pub fn chosen_row(&self) -> Option<usize> {
        let chosen = self.chosen.as_ref()?;
        self.rows.iter().position(|row| match (row, chosen) {
            (Row::Group { title, .. }, Chosen::Group(name)) => title == name,
            (Row::Unit(place), Chosen::Unit(id)) => self
                .snapshot
                .units
                .get(*place)
                .is_some_and(|unit| unit.id == *id),
            (Row::Group { .. }, Chosen::Unit(_)) | (Row::Unit(_), Chosen::Group(_)) => false,
        })
    }

    /// The unit that is chosen, if it is one.
    #[must_use]
    pub fn unit(&self) -> Option<&Arc<UnitView>> {
        match self.chosen.as_ref()? {
            Chosen::Unit(id) => self.by_id(*id),
            Chosen::Group(_) => None,
        }
    }

    #[must_use]
    pub fn by_id(&self, id: InstanceId) -> Option<&Arc<UnitView>> {
        // Between a snapshot and what is worked out of it another unit may stand there.
        let place = self.digest.place(id)?;
        let unit = self.snapshot.units.get(place);
        unit.filter(|unit| unit.id == id)
            .or_else(|| self.snapshot.units.iter().find(|unit| unit.id == id))
    }

    /// Its place in the file, for its colour.
    #[must_use]
    pub fn place(&self, id: InstanceId) -> usize {
        self.digest.place(id).unwrap_or(id.index())
    }

    /// The rows of the table that there is room for.
    #[must_use]
    pub fn page(&self) -> usize {
        usize::from(self.areas().main.height.saturating_sub(1)).max(1)
    }

    pub fn keep_chosen_in_view(&mut self) {
        let page = self.page();
        let row = self.chosen_row().unwrap_or(0);
        let lowest = self.rows.len().saturating_sub(page);
        self.top = self
            .top
            .min(lowest)
            .min(row)
            .max((row + 1).saturating_sub(page));
        // A group's title stays with its first unit.
        if row == self.top
            && row > 0
            && matches!(self.rows.get(row - 1), Some(Row::Group { .. }))
            && page > 2
        {
            self.top -= 1;
        }
    }

    #[must_use]
    pub fn areas(&self) -> Areas {
        layout::areas(self)
    }

    /// Where the log's text goes: how wide, how many rows.
    #[must_use]
    pub fn log_shape(&self) -> (Shape, usize) {
        self.shape_in(&self.log, self.areas().log)
    }

    /// Columns of the name and of the time before a line of a pane so wide; 0: none.
    #[must_use]
    pub fn log_columns_in(&self, log: &LogPane, width: u16) -> (usize, usize) {
        use super::log::{Scope, Times};
        let width = usize::from(width);
        let name = match log.scope {
            _ if self.split_panes.is_some() => 0,
            Scope::Chosen if matches!(self.chosen, Some(Chosen::Unit(_))) => 0,
            Scope::Chosen | Scope::Marked | Scope::All => {
                self.digest.widest_name.min(20).min(width / 4)
            }
        };
        let time = match log.times {
            Times::Off => 0,
            Times::Absolute => 12,
            Times::Relative => 6,
        };
        (name, if width < 40 { 0 } else { time })
    }
}

/// Whether its last run failed, and nothing has made up for that.
#[must_use]
pub fn is_failing(unit: &UnitView) -> bool {
    matches!(unit.outcome, Some(Outcome::Failed(_))) || unit.last_failure.is_some()
}
