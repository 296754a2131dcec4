//! Files for a page's file inputs: Selenium's clients send one, zipped, and then type its path into the input.
//!
//! `POST /session/{id}/se/file` with `{"file": "<base64 of a zip with one file>"}` answers the file's path here. Neither
//! driver is asked: geckodriver has no such command.

use std::{
    borrow::Cow,
    fs::{self, File},
    io::{self, Cursor, Read},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use net::{Body, body::collect_within};
use serde::Deserialize;
use serde_json::{Value, json};
use webdriver::error::WebDriverError;
use zip::ZipArchive;

/// The most bytes of a request: it and what it decodes to stand in memory together.
const MAX_BODY: usize = 128 << 20;
/// How long it may take to come.
const BODY_TIME: Duration = Duration::from_secs(300);
/// The most bytes of an unpacked file.
const MAX_FILE: u64 = 1 << 30;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// Keeps the file of a request below `folder`; gives its path.
///
/// # Errors
/// `invalid argument` with what is wrong with the request, `unknown error` where there is no room for the file.
pub async fn take(body: Body, folder: &Path) -> Result<Value, WebDriverError> {
    let body = collect_within(body, MAX_BODY, BODY_TIME)
        .await
        .map_err(|error| WebDriverError::invalid_argument(error.to_string()))?;
    // A name may come twice, and the page sees names: each file has a folder of its own.
    let folder = folder.join(format!("upload-{}", NEXT.fetch_add(1, Ordering::Relaxed)));
    let unpacking = tokio::task::spawn_blocking(move || unpack(body, &folder));
    let path = unpacking.await.map_err(|error| unknown(&error))??;
    Ok(json!(path.to_string_lossy()))
}

fn unpack(body: Bytes, folder: &Path) -> Result<PathBuf, WebDriverError> {
    let wrong = |what: String| WebDriverError::invalid_argument(format!("file is {what}"));
    let archive = decode(body)?;
    let mut archive = ZipArchive::new(Cursor::new(archive))
        .map_err(|error| wrong(format!("no zip archive: {error}")))?;
    if archive.len() != 1 {
        return Err(wrong(format!("a zip archive of {} files; it must have one", archive.len())));
    }
    let entry = archive.by_index(0).map_err(|error| wrong(format!("damaged: {error}")))?;
    // The name alone: a path could leave the folder.
    let name = entry.name().map_err(|error| wrong(format!("damaged: {error}")))?.into_owned();
    let name = Path::new(&name).file_name().filter(|_| !entry.is_dir());
    let Some(path) = name.map(|name| folder.join(name)) else {
        return Err(wrong("a zip archive without a file".to_owned()));
    };
    fs::create_dir_all(folder).map_err(|error| unknown(&error))?;
    let written =
        File::create(&path).and_then(|mut file| io::copy(&mut entry.take(MAX_FILE + 1), &mut file));
    match written {
        Ok(length) if length <= MAX_FILE => Ok(path),
        outcome => {
            // Half a file is of no use, and takes room.
            if let Err(error) = fs::remove_dir_all(folder) {
                tracing::debug!(%error, "remove an upload");
            }
            Err(match outcome {
                Ok(_) => wrong(format!("longer than {MAX_FILE} bytes")),
                Err(error) => unknown(&error),
            })
        }
    }
}

/// A request, of which nothing is copied.
#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow)]
    file: Cow<'a, str>,
}

/// The archive in a request.
fn decode(body: Bytes) -> Result<Vec<u8>, WebDriverError> {
    let request: Request<'_> = serde_json::from_slice(&body)
        .map_err(|_| WebDriverError::invalid_argument("file must be a string"))?;
    let decoded = if request.file.bytes().any(|byte| byte.is_ascii_whitespace()) {
        // Some clients break their lines.
        let text = request.file.bytes().filter(|byte| !byte.is_ascii_whitespace());
        BASE64_STANDARD.decode(text.collect::<Vec<u8>>())
    } else {
        BASE64_STANDARD.decode(request.file.as_bytes())
    };
    decoded.map_err(|error| WebDriverError::invalid_argument(format!("file is no base64: {error}")))
}

fn unknown(error: &dyn std::error::Error) -> WebDriverError {
    WebDriverError::new(
        webdriver::error::ErrorCode::UnknownError,
        format!("the file could not be kept: {error}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use net::forward::full;
    use std::io::Write;
    use zip::{ZipWriter, write::SimpleFileOptions};

    fn request(files: &[(&str, &[u8])]) -> String {
        let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, contents) in files {
            archive.start_file(*name, SimpleFileOptions::default()).unwrap();
            archive.write_all(contents).unwrap();
        }
        let bytes = archive.finish().unwrap().into_inner();
        json!({"file": BASE64_STANDARD.encode(bytes)}).to_string()
    }

    #[tokio::test]
    async fn a_file_is_kept_under_its_name_and_nowhere_else() {
        let folder = std::env::temp_dir().join(format!("upload-test-{}", std::process::id()));
        for name in ["a.txt", "../../a.txt", "/etc/a.txt"] {
            let path = take(full(request(&[(name, b"hello")])), &folder).await.unwrap();
            let path = Path::new(path.as_str().unwrap());
            assert!(path.starts_with(&folder) && path.ends_with("a.txt"), "{path:?}");
            assert_eq!(fs::read(path).unwrap(), b"hello");
        }
        fs::remove_dir_all(folder).unwrap();
    }

    #[tokio::test]
    async fn what_is_no_file_is_refused() {
        let nothing_zipped = json!({"file": BASE64_STANDARD.encode(b"hello")}).to_string();
        for (body, words) in [
            ("[]".to_owned(), "file must be a string"),
            (json!({"file": "%"}).to_string(), "no base64"),
            (nothing_zipped, "no zip archive"),
            (request(&[]), "0 files"),
            (request(&[("a", b""), ("b", b"")]), "2 files"),
        ] {
            let error = take(full(body), Path::new("/nowhere")).await.unwrap_err();
            assert_eq!(error.code.as_str(), "invalid argument");
            assert!(error.message.contains(words), "{}", error.message);
        }
    }
}
