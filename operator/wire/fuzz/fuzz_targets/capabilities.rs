//! Capability processing never panics, and what it lets through it would let through again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use wire::{
    capabilities::{Dialect, for_driver, process},
    vendor,
};

fuzz_target!(|bytes: &[u8]| {
    let Ok(asked) = serde_json::from_slice::<Value>(bytes) else { return };
    for dialect in [Dialect::Classic, Dialect::Bidi] {
        for set in process(&asked, dialect).unwrap_or_default() {
            let again = process(&json!({"alwaysMatch": set}), dialect);
            assert_eq!(again.ok(), Some(vec![set.clone()]), "{dialect:?}");
            let sent = for_driver(&set);
            assert!(sent.keys().all(|name| !name.starts_with("browser-operator:")));
            let _ = vendor::refused(&set, true);
        }
    }
});
