//! What a target reads: text as it is, or JSON that is made of the bytes. Mutated text alone is rarely more than a test of
//! JSON's syntax, and without a sanitizer libFuzzer does not see what strings are compared with.

use std::slice::Iter;

use serde_json::{Value, json};

/// Bytes that begin with ASCII are text; others choose an object's members from `names` and values from `texts`.
pub fn text(bytes: &[u8], names: &[&str], texts: &[&str]) -> Option<String> {
    match bytes {
        [0x80..=0xff, chosen @ ..] => {
            let choices = Choices { names, texts };
            Some(choices.object(&mut chosen.iter(), MEMBERS).to_string())
        }
        _ => String::from_utf8(bytes.to_vec()).ok(),
    }
}

/// The most members of an object.
const MEMBERS: u8 = 6;

struct Choices<'a> {
    names: &'a [&'a str],
    texts: &'a [&'a str],
}

impl Choices<'_> {
    /// Ends where the bytes do.
    fn object(&self, bytes: &mut Iter<'_, u8>, members: u8) -> Value {
        let mut object = serde_json::Map::new();
        for _ in 0..members {
            let Some(name) = bytes.next() else { break };
            object.insert(of(self.names, *name).to_owned(), self.value(bytes));
        }
        object.into()
    }

    fn value(&self, bytes: &mut Iter<'_, u8>) -> Value {
        let Some(byte) = bytes.next() else { return Value::Null };
        let rest = byte / 8;
        match byte % 8 {
            0 => Value::Null,
            1 => (rest % 2 == 0).into(),
            2 => match bytes.next().copied().unwrap_or_default() {
                number @ 0..0x80 => (i64::from(number) - 2).into(),
                number @ 0x80..0xc0 => (f64::from(number - 0x80) / 2.0).into(),
                number => json!((1_u64 << 53) - 2 + u64::from(number % 4)),
            },
            3 | 4 => of(self.texts, bytes.next().copied().unwrap_or_default()).into(),
            5 => (0..rest % 4).map(|_| self.value(bytes)).collect(),
            _ => self.object(bytes, rest % MEMBERS),
        }
    }
}

fn of<'a>(list: &[&'a str], byte: u8) -> &'a str {
    list[usize::from(byte) % list.len()]
}
