//! Where a run's output goes, and where its input comes from.

use std::future::pending;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::runner::Tools;
use super::terminal::{Input, pump as terminal};
use crate::contain::{Output, Pipe, Running};
use crate::domain::id::RunId;
use crate::domain::spec::{Tty, UnitSpec};
use crate::logs::{Origin, Stream, pump};

/// Those of one run. Dropping it closes them.
#[derive(Debug)]
pub(super) struct Streams {
    /// End with the run's output.
    pumps: JoinSet<()>,
    /// End when this is dropped.
    others: JoinSet<()>,
    stop: watch::Sender<bool>,
}

impl Streams {
    /// Connects all that `running` has; `inputs` is what is typed for it. `note` says what goes
    /// wrong.
    pub(super) fn connect(
        run: RunId,
        spec: &UnitSpec,
        tools: &Arc<Tools>,
        running: &mut Running,
        inputs: Option<mpsc::Receiver<Input>>,
        note: impl Fn(&str) + Clone + Send + 'static,
    ) -> Self {
        let mut streams = Self {
            pumps: JoinSet::new(),
            others: JoinSet::new(),
            stop: watch::Sender::new(false),
        };
        for output in running.take_outputs() {
            streams.pipe(run, tools, output, note.clone());
        }
        let input = running.take_input();
        let Some(opened) = running.take_terminal() else {
            if let (Some(inputs), Some(input)) = (inputs, input) {
                streams
                    .others
                    .spawn(terminal::type_into_pipe(input, inputs));
            }
            return streams;
        };
        let shared = Arc::new(opened);
        let screen = (spec.tty == Tty::Full).then(|| tools.terminals.screen(run.instance));
        if let Some(screen) = &screen {
            let follow = terminal::follow_size(Arc::clone(&shared), screen.sizes());
            streams.others.spawn(follow);
        }
        match (inputs, input) {
            (Some(inputs), Some(input)) => {
                streams
                    .others
                    .spawn(terminal::type_into_pipe(input, inputs));
            }
            (Some(inputs), None) => {
                let typing = terminal::type_into_terminal(Arc::clone(&shared), inputs);
                streams.others.spawn(typing);
            }
            (None, _) => {}
        }
        let writer = tools.store.open(Origin {
            run,
            stage: 0,
            stream: Stream::Stdout,
        });
        let stop = streams.stopped();
        streams.spawn(tools, terminal::pump(shared, screen, writer, stop));
        streams
    }

    fn pipe(
        &mut self,
        run: RunId,
        tools: &Tools,
        output: Output,
        note: impl Fn(&str) + Send + 'static,
    ) {
        let stream = match output.pipe {
            Pipe::Stdout => Stream::Stdout,
            Pipe::Stderr => Stream::Stderr,
        };
        let writer = tools.store.open(Origin {
            run,
            stage: u16::try_from(output.stage).unwrap_or(u16::MAX),
            stream,
        });
        let stop = self.stopped();
        let pumping = async move {
            if let Err(error) = pump(output.fd, writer, stop).await {
                note(&error.to_string());
            }
        };
        self.spawn(tools, pumping);
    }

    /// Apart from the event loop, where that can be.
    fn spawn(&mut self, tools: &Tools, pumping: impl Future<Output = ()> + Send + 'static) {
        match tools.store.pumps() {
            Some(runtime) => self.pumps.spawn_on(pumping, &runtime),
            None => self.pumps.spawn(pumping),
        };
    }

    fn stopped(&self) -> impl Future<Output = ()> + use<> {
        let mut stopped = self.stop.subscribe();
        async move {
            if stopped.wait_for(|&stop| stop).await.is_err() {
                pending::<()>().await;
            }
        }
    }

    /// Nobody of the run lives: takes what is still in its pipes. What is not read when this
    /// is dropped is lost.
    pub(super) async fn drain(&mut self) {
        self.stop.send_replace(true);
        while self.pumps.join_next().await.is_some() {}
    }
}
