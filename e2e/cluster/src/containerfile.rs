//! What an image's Containerfile says of how its containers start. The files
//! of an image are put together here without a container engine; its settings
//! are written down once, in the Containerfile.

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};
use std::path::Path;

/// Reads the settings of the last stage, in the form of an image's `config`.
pub fn settings(path: &Path) -> Result<Value> {
    let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    parse(&text).with_context(|| format!("read {}", path.display()))
}

fn parse(text: &str) -> Result<Value> {
    let mut config = Map::new();
    let joined = text.replace("\\\n", " ");
    for line in joined.lines().map(str::trim) {
        let Some((instruction, rest)) = line.split_once(char::is_whitespace) else {
            continue;
        };
        let rest = rest.trim();
        match instruction {
            "FROM" => config.clear(),
            "USER" => drop(config.insert("User".to_owned(), json!(rest))),
            "WORKDIR" => drop(config.insert("WorkingDir".to_owned(), json!(rest))),
            "ENTRYPOINT" => drop(config.insert("Entrypoint".to_owned(), words(rest)?)),
            "CMD" => drop(config.insert("Cmd".to_owned(), words(rest)?)),
            "ENV" => {
                let variables = config
                    .entry("Env")
                    .or_insert_with(|| json!([PATH]))
                    .as_array_mut()
                    .context("Env is no list")?;
                variables.extend(rest.split_whitespace().map(|variable| json!(variable)));
            }
            _ => {}
        }
    }
    config.entry("Env").or_insert_with(|| json!([PATH]));
    Ok(Value::Object(config))
}

/// The path that every base image sets.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

fn words(text: &str) -> Result<Value> {
    let value: Value = serde_json::from_str(text).with_context(|| format!("{text} is no list"))?;
    if !value.is_array() {
        bail!("{text} is no list");
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_stage_counts() {
        let text = "FROM a AS build\nUSER 1\nFROM b\n# USER 2\nENV HOME=/home/x \\\n    A=b\nENTRYPOINT [\"/p\", \"q\"]\n";
        assert_eq!(
            parse(text).unwrap(),
            json!({"Env": [PATH, "HOME=/home/x", "A=b"], "Entrypoint": ["/p", "q"]})
        );
    }

    #[test]
    fn an_entrypoint_for_a_shell_is_refused() {
        assert!(parse("FROM b\nENTRYPOINT sleep 1\n").is_err());
    }
}
