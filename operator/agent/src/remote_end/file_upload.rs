//! Files for a page's file inputs: Selenium's clients send one, zipped, and then type its path into the input.
//!
//! `POST /session/{id}/se/file` with `{"file": "<base64 of a zip with one file>"}` answers the file's path in the container.
//! The driver is not asked: geckodriver has no such command.

use std::{
    borrow::Cow,
    fs::{self, File},
    io::{self, Cursor, Read},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use base64::{DecodeError, Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use net::{
    Body,
    body::{self, collect_within},
};
use serde::Deserialize;
use tokio::task::JoinError;
use webdriver::error::{ErrorCode, WebDriverError};
use zip::{ZipArchive, result::ZipError};

/// The most bytes of a request: it and its decoded archive stand in memory together.
const MAX_BODY: usize = 128 << 20;
/// How long a request may take to come.
const BODY_TIMEOUT: Duration = Duration::from_secs(300);
/// The most bytes of an unpacked file.
const MAX_FILE: u64 = 1 << 30;

static NEXT_FOLDER: AtomicU32 = AtomicU32::new(0);

/// Why an upload was not stored.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    #[error(transparent)]
    Body(#[from] body::Error),
    #[error("file must be a string")]
    NotAString,
    #[error("file is no base64: {0}")]
    Base64(DecodeError),
    #[error("file is no zip archive: {0}")]
    NotAZip(ZipError),
    #[error("file is a zip archive of {0} files; it must have one")]
    FileCount(usize),
    #[error("file is damaged: {0}")]
    Damaged(ZipError),
    #[error("file is a zip archive without a file")]
    NoFile,
    #[error("file is longer than {MAX_FILE} bytes")]
    TooLong,
    #[error("the file could not be kept: {0}")]
    Write(io::Error),
    #[error("the file could not be kept: {0}")]
    Task(JoinError),
}

impl From<UploadError> for WebDriverError {
    fn from(error: UploadError) -> Self {
        let code = match error {
            UploadError::Write(_) | UploadError::Task(_) => ErrorCode::UnknownError,
            _ => ErrorCode::InvalidArgument,
        };
        Self::new(code, error.to_string())
    }
}

/// Stores the file of a request below `folder`; returns its path.
pub async fn store(body: Body, folder: &Path) -> Result<PathBuf, UploadError> {
    let body = collect_within(body, MAX_BODY, BODY_TIMEOUT).await?;
    // A name may come twice, and the page sees names: each file has a folder of its own.
    let folder = folder.join(format!("upload-{}", NEXT_FOLDER.fetch_add(1, Ordering::Relaxed)));
    tokio::task::spawn_blocking(move || unpack(body, &folder)).await.map_err(UploadError::Task)?
}

fn unpack(body: Bytes, folder: &Path) -> Result<PathBuf, UploadError> {
    let archive = decode(body)?;
    let mut archive = ZipArchive::new(Cursor::new(archive)).map_err(UploadError::NotAZip)?;
    if archive.len() != 1 {
        return Err(UploadError::FileCount(archive.len()));
    }
    let entry = archive.by_index(0).map_err(UploadError::Damaged)?;
    // The name alone: a path could leave the folder.
    let name = entry.name().map_err(UploadError::Damaged)?.into_owned();
    let name = Path::new(&name).file_name().filter(|_| !entry.is_dir());
    let path = name.map(|name| folder.join(name)).ok_or(UploadError::NoFile)?;
    fs::create_dir_all(folder).map_err(UploadError::Write)?;
    let written =
        File::create(&path).and_then(|mut file| io::copy(&mut entry.take(MAX_FILE + 1), &mut file));
    let error = match written {
        Ok(length) if length <= MAX_FILE => return Ok(path),
        Ok(_) => UploadError::TooLong,
        Err(error) => UploadError::Write(error),
    };
    // Half a file is of no use, and takes room.
    if let Err(error) = fs::remove_dir_all(folder) {
        tracing::debug!(%error, "remove an upload");
    }
    Err(error)
}

/// The body of a request, of which nothing is copied.
#[derive(Deserialize)]
struct UploadRequest<'a> {
    #[serde(borrow)]
    file: Cow<'a, str>,
}

/// The archive in a request.
fn decode(body: Bytes) -> Result<Vec<u8>, UploadError> {
    let request: UploadRequest<'_> =
        serde_json::from_slice(&body).map_err(|_| UploadError::NotAString)?;
    let decoded = if request.file.bytes().any(|byte| byte.is_ascii_whitespace()) {
        // Some clients break their lines.
        let text = request.file.bytes().filter(|byte| !byte.is_ascii_whitespace());
        BASE64_STANDARD.decode(text.collect::<Vec<u8>>())
    } else {
        BASE64_STANDARD.decode(request.file.as_bytes())
    };
    decoded.map_err(UploadError::Base64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use net::body::full;
    use serde_json::json;
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
            let path = store(full(request(&[(name, b"hello")])), &folder).await.unwrap();
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
            let error = store(full(body), Path::new("/nowhere")).await.unwrap_err();
            let error = WebDriverError::from(error);
            assert_eq!(error.code.as_str(), "invalid argument");
            assert!(error.message.contains(words), "{}", error.message);
        }
    }
}
