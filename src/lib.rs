pub mod contain;
pub mod domain;
