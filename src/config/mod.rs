//! Text into specs, or every mistake in it.
pub mod diagnostic;
pub mod interpolate;
pub mod merge;
pub mod parse;
pub mod source;
pub mod suggest;
pub mod tree;

mod context;
mod decode;
mod raw;
mod snippet;
mod syntax;
