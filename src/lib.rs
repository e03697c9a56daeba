pub mod config;
pub mod contain;
pub mod domain;
pub mod logs;
pub mod probe;
