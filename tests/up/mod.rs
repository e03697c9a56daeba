//! Whole stacks of real processes, from `pk up` to an empty process table.

mod bounds;
mod ends;
mod failures;
mod hardship;
mod hooks;
mod hung;
mod kept;
mod notify;
mod order;
mod output;
mod pipelines;
mod run;
mod signals;
mod terminals;
mod told;
