//! Files of other tools: process-compose and Procfiles.

mod api;
mod behaviour;
mod cases;
mod convert;
mod corpus;
mod namesake;
mod plans;
mod procfile;
mod side_by_side;
mod wild;
