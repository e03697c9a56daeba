//! Any bytes as a Procfile.
#![no_main]

mod configuration;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let _ = configuration::read("Procfile", text);
});
