//! Whole stacks of real processes, from `pk up` to an empty process table.

mod ends;
mod failures;
mod hung;
mod kept;
mod order;
mod output;
mod pipelines;
mod run;
mod signals;
mod told;
