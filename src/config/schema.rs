//! The JSON schema of the file, for editors.

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::raw::file::RawFile;

/// The schema (draft 2020-12), made from the types that the file is read into.
///
/// It says what `check` calls structure: keys, types and the form of values. What values
/// mean to each other it cannot say.
#[must_use]
pub fn schema() -> Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = generator.into_root_schema_for::<RawFile>().to_value();
    if let Some(object) = schema.as_object_mut() {
        object.insert("title".to_owned(), "pk.yaml".into());
    }
    schema
}
