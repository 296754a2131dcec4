//! What an agent says of a start that is under way.

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StartReport {
    /// For a person: what it waits for, and since when.
    pub doing: String,
}
