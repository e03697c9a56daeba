//! What a person reads who wrote a bad file: one snapshot per case.

use super::Project;
use super::cases::CASES;

#[test]
fn every_bad_file_has_its_message() {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for (name, text) in CASES {
            insta::assert_snapshot!(*name, Project::of(text).rendered());
        }
    });
}

#[test]
fn cases_have_names_of_their_own() {
    let mut names: Vec<_> = CASES.iter().map(|(name, _)| name).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), CASES.len());
    assert!(CASES.len() >= 60, "{}", CASES.len());
}
