//! The newest sessions of a list, as they are shown: a namespace may have more than an answer can hold.

use std::cmp::Reverse;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;

use super::records::Record;

/// The most that a list has,
const MAX_ITEMS: usize = 1000;
/// and the most bytes.
const MAX_BYTES: usize = 2 << 20;

#[derive(Default)]
pub struct Newest {
    items: Vec<Item>,
    bytes: usize,
    /// How many have been added, also those that are left out.
    pub total: usize,
}

struct Item {
    order: Reverse<(Timestamp, String)>,
    json: Box<RawValue>,
}

impl Newest {
    /// Adds a session as it is shown.
    pub fn add(&mut self, record: &Record, shown: &impl Serialize) {
        self.total += 1;
        // What is shown has no keys but texts: it always becomes JSON.
        let Ok(json) = serde_json::value::to_raw_value(shown) else { return };
        self.bytes += json.get().len();
        let order = Reverse((record.created(), record.id.clone()));
        self.items.push(Item { order, json });
        if self.items.len() >= 2 * MAX_ITEMS || self.bytes >= 2 * MAX_BYTES {
            self.cut();
        }
    }

    fn cut(&mut self) {
        self.items.sort_by(|one, other| one.order.cmp(&other.order));
        let (mut count, mut bytes) = (0, 0);
        for item in self.items.iter().take(MAX_ITEMS) {
            let more = bytes + item.json.get().len();
            if more > MAX_BYTES {
                break;
            }
            (count, bytes) = (count + 1, more);
        }
        self.items.truncate(count);
        self.bytes = bytes;
    }

    /// The newest first.
    pub fn into_json(mut self) -> Vec<Box<RawValue>> {
        self.cut();
        self.items.into_iter().map(|item| item.json).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn record(second: usize) -> Record {
        let created = Timestamp::from_second(second as i64).unwrap();
        let object = json!({
            "apiVersion": "browser-operator.io/v1alpha1", "kind": "BrowserSession",
            "metadata": {"creationTimestamp": created.to_string()}, "spec": {},
        });
        Record { id: second.to_string(), object: serde_json::from_value(object).unwrap() }
    }

    #[test]
    fn a_list_has_the_newest_and_counts_them_all() {
        let mut newest = Newest::default();
        for second in (0..3 * MAX_ITEMS).rev().chain(3 * MAX_ITEMS..5 * MAX_ITEMS) {
            newest.add(&record(second), &second);
            assert!(newest.items.len() < 2 * MAX_ITEMS);
        }
        assert_eq!(newest.total, 5 * MAX_ITEMS);
        let shown: Vec<usize> =
            newest.into_json().iter().map(|json| json.get().parse().unwrap()).collect();
        assert_eq!(shown, (4 * MAX_ITEMS..5 * MAX_ITEMS).rev().collect::<Vec<_>>());
    }

    #[test]
    fn a_list_has_no_more_bytes_than_an_answer_may_have() {
        let (mut newest, text) = (Newest::default(), "x".repeat(MAX_BYTES / 10));
        for second in 0..50 {
            newest.add(&record(second), &text);
            assert!(newest.bytes < 2 * MAX_BYTES);
        }
        assert_eq!((newest.total, newest.into_json().len()), (50, 9));
    }
}
