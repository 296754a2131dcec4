//! Links that are credentials by themselves: to drive a session, or only to watch it.

use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::installation_key::InstallationKey;

impl InstallationKey {
    /// Makes a URL a credential for one session, until a Unix time in seconds.
    #[must_use]
    pub fn link(&self, session_id: &Uuid, until: i64) -> String {
        let (id, until) = (session_id.simple().to_string(), format!("{until:x}"));
        let seal = hex::encode(self.derive("link", &[&id, &until]));
        format!("{id}.{until}.{seal}")
    }

    /// The session that a link is for; `None` where it is forged or has expired.
    #[must_use]
    pub fn open_link(&self, link: &str, now: i64) -> Option<Uuid> {
        let (id, rest) = link.split_once('.')?;
        let (until, seal) = rest.split_once('.')?;
        let expected = hex::encode(self.derive("link", &[id, until]));
        let is_ours = bool::from(expected.as_bytes().ct_eq(seal.as_bytes()));
        let is_in_time = i64::from_str_radix(until, 16).is_ok_and(|until| now < until);
        (is_ours && is_in_time).then(|| Uuid::try_parse(id).ok()).flatten()
    }

    /// What makes a URL show a session to whoever has it, and nothing more: neither is a session's id in it, nor leads its uid to
    /// that. `nonce` tells this share of a session from those before it.
    #[must_use]
    pub fn share(&self, uid: &str, nonce: &str) -> String {
        format!("{uid}.{nonce}.{}", hex::encode(self.derive("share", &[uid, nonce])))
    }

    /// The uid and the nonce of a share; `None` where it is forged.
    #[must_use]
    pub fn open_share<'a>(&self, share: &'a str) -> Option<(&'a str, &'a str)> {
        let (uid, rest) = share.split_once('.')?;
        let (nonce, seal) = rest.split_once('.')?;
        let expected = hex::encode(self.derive("share", &[uid, nonce]));
        bool::from(expected.as_bytes().ct_eq(seal.as_bytes())).then_some((uid, nonce))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::installation_key::KEY_BYTES;

    fn key() -> InstallationKey {
        InstallationKey::new(&[7; KEY_BYTES]).unwrap()
    }

    #[test]
    fn a_link_is_for_one_session_and_for_a_time() {
        let (id, other) = (key().session_id("uid-1"), key().session_id("uid-2"));
        let link = key().link(&id, 1000);
        assert_eq!(key().open_link(&link, 999), Some(id));
        assert_eq!(key().open_link(&link, 1000), None);
        let of_other = link.replace(&id.simple().to_string(), &other.simple().to_string());
        let for_longer = link.replace(".3e8.", ".fff8.");
        for forged in [of_other.as_str(), for_longer.as_str(), "", "a.b.c", &link[..link.len() - 1]]
        {
            assert_eq!(key().open_link(forged, 0), None, "{forged}");
        }
        assert_eq!(InstallationKey::new(&[8; KEY_BYTES]).unwrap().open_link(&link, 0), None);
    }

    #[test]
    fn a_share_is_of_one_session_and_does_not_tell_its_id() {
        let share = key().share("uid-1", "n");
        assert_eq!(key().open_share(&share), Some(("uid-1", "n")));
        assert!(!share.contains(&key().session_id("uid-1").simple().to_string()));
        for forged in [&share.replace("uid-1", "uid-2"), &share.replace(".n.", ".m."), "", "a.b.c"]
        {
            assert_eq!(key().open_share(forged), None, "{forged}");
        }
        assert_eq!(InstallationKey::new(&[8; KEY_BYTES]).unwrap().open_share(&share), None);
    }
}
