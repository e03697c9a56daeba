//! Loads a file of that name, and shows whatever comes of it.

#[path = "folder.rs"]
mod folder;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use pk::config::{Loaded, Request, load};

pub fn read(name: &str, text: &[u8]) -> Option<Loaded> {
    let folder = folder::folder();
    std::fs::write(folder.join(name), text).expect("a file");
    let request = Request {
        folder: folder.to_owned(),
        files: vec![PathBuf::from(name)],
        environment: BTreeMap::from([
            ("HOME".to_owned(), "/home/somebody".to_owned()),
            ("EMPTY".to_owned(), String::new()),
            ("PORT".to_owned(), "5000".to_owned()),
        ]),
        unreadable: BTreeSet::from(["ODD".to_owned()]),
    };
    match load(&request) {
        Ok(loaded) => Some(loaded),
        Err(report) => {
            let text = report.render(true);
            assert!(report.errors().next().is_some(), "refused without an error");
            assert!(!text.is_empty());
            None
        }
    }
}
