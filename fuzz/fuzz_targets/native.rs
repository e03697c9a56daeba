//! Any bytes as `pk.yaml`: a plan, or errors that can be shown; what `pk config` shows of a
//! plan can be read again.
#![no_main]

mod configuration;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    if let Some(loaded) = configuration::read("pk.yaml", text) {
        let _ = pk::config::to_json(&loaded.plan);
        let _ = pk::config::to_yaml(&loaded.plan);
    }
});
