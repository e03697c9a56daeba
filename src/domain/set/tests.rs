//! The rules of the set by example.

mod commands;
mod conditions;
mod cost;
mod driver;
mod ending;
mod failing;
mod reload;
mod schedule;
