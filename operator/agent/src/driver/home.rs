//! The browser's home. Browsers and their libraries believe what they find below it: libraries that they load (layers of
//! Vulkan, modules of NSS, plugins), programs that open files or talk to extensions. A client can have a file downloaded to
//! anywhere that may be written to, so this is no such place.

use std::{
    fs::{self, DirBuilder, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::Path,
};

/// In the one folder that may be written to, so that no image must have it.
const HOME: &str = "/tmp/home";
/// What the driver's environment has for it.
pub const ENVIRONMENT: [(&str, &str); 1] = [("HOME", HOME)];
/// What may be written there. Chromium downloads to the first if nobody says otherwise; Firefox does not start without its own,
/// of which versions have different ones. Nothing is loaded from any.
const WRITABLE: [&str; 5] = [
    "Downloads",
    ".cache/fontconfig",
    ".cache/mozilla/firefox",
    ".config/mozilla/firefox",
    ".mozilla/firefox",
];
const READ_ONLY_MODE: u32 = 0o555;
const WRITABLE_MODE: u32 = 0o755;

/// Makes it. It must not be there: somebody might have put something into it.
pub fn make() -> io::Result<()> {
    make_at(Path::new(HOME))
}

fn make_at(home: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.mode(WRITABLE_MODE).create(home)?;
    builder.recursive(true);
    for folder in WRITABLE {
        builder.create(home.join(folder))?;
    }
    for folder in WRITABLE {
        for above in Path::new(folder).ancestors().skip(1) {
            fs::set_permissions(home.join(above), Permissions::from_mode(READ_ONLY_MODE))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_named_may_be_written_there() {
        let home = std::env::temp_dir().join(format!("home-{}", std::process::id()));
        make_at(&home).unwrap();
        let may_be_written = |folder: &str| {
            fs::metadata(home.join(folder)).unwrap().permissions().mode() & 0o222 != 0
        };
        for folder in ["", ".cache", ".cache/mozilla", ".config", ".config/mozilla", ".mozilla"] {
            assert!(!may_be_written(folder), "{folder}");
        }
        for folder in WRITABLE {
            assert!(may_be_written(folder), "{folder}");
        }
        assert!(make_at(&home).is_err());
        fs::remove_dir_all(home).unwrap();
    }
}
