//! Any bytes as each message of the control protocol: what is understood is said again as it
//! was understood.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pk::control::Record;
use pk::control::protocol::{Act, ChangesPage, Line, Lines, LogPage, Problem, State, Taken};
use serde::Serialize;
use serde::de::DeserializeOwned;

fn again<T: Serialize + DeserializeOwned>(text: &[u8]) {
    let Ok(message) = serde_json::from_slice::<T>(text) else {
        return;
    };
    let said = serde_json::to_vec(&message).expect("JSON");
    let heard: T = serde_json::from_slice(&said).expect("its own words");
    assert_eq!(serde_json::to_vec(&heard).expect("JSON"), said);
}

fuzz_target!(|text: &[u8]| {
    again::<Act>(text);
    again::<State>(text);
    again::<Taken>(text);
    again::<Problem>(text);
    again::<ChangesPage>(text);
    again::<LogPage>(text);
    again::<Lines>(text);
    again::<Record>(text);
    if let Ok(line) = serde_json::from_slice::<Line>(text) {
        let _ = line.log_line();
    }
});
