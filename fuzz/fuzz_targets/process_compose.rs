//! Any bytes as a file of process-compose: a plan, or errors that can be shown; what `convert`
//! makes of a plan has no error. (A plan of nothing cannot be said in pk's own file.)
#![no_main]

mod configuration;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let loaded = configuration::read("process-compose.yaml", text);
    if let Some(loaded) = loaded.filter(|loaded| !loaded.plan.units().is_empty()) {
        let native = pk::config::convert::to_native(&loaded.plan, &loaded.folder, &[]);
        let again = configuration::read("pk.yaml", native.as_bytes());
        assert!(again.is_some(), "not read again:\n{native}");
    }
});
