pub mod contain;
pub mod domain;
pub mod logs;
