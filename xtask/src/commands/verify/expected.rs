//! Which key a repository has to be signed with: a repository that brings its own key proves nothing about who made it.

use std::path::Path;

use anyhow::Context as _;
use lustre_files::advised;
use lustre_packaging::sign::{KeySource, PublicKey, Purpose, parse_fingerprint};
use lustre_repository::proof::Verdict;

use crate::cli::KeyArgs;
use crate::exit::Usage;
use crate::graph::finish::Signing;
use crate::key;

/// Which key is expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// The key of this fingerprint.
    Key {
        /// 40 upper-case hexadecimal digits.
        fingerprint: String,
        /// Where that is known from.
        from: String,
    },
    /// A key that proves nothing: its owner took it back, it has ended, or it is too weak.
    Refused {
        /// As that of [`Self::Key`].
        fingerprint: String,
        why: String,
    },
    /// One of several: while a site goes from one key to the next, releases of both are right.
    OneOf(Vec<Self>),
    /// Nobody has said.
    Unknown,
    /// Nobody has said, and the user takes the repository's own on its word.
    FirstUse,
}

/// What is said of checks that would run packages' scripts on a stranger's word.
pub const NOT_INSTALLED: &str =
    "not installed: no key is known to be the expected one, and scriptlets would run";

impl Expected {
    /// What the command line and the environment say; else this machine's development key, if there is one.
    pub fn of(
        public_keys: &[String],
        key: &KeyArgs,
        trust_on_first_use: bool,
    ) -> anyhow::Result<Self> {
        if !public_keys.is_empty() {
            return Self::all_given(public_keys);
        }
        let source = key::source(key)?;
        // Said aloud, it counts for more than a key that happens to be on this machine.
        if trust_on_first_use && matches!(source, KeySource::Development(_)) {
            return Ok(Self::FirstUse);
        }
        let from = match &source {
            KeySource::File(path) => path.display().to_string(),
            KeySource::Variable(name) => format!("the variable {name}"),
            KeySource::Agent { .. } => "gpg-agent".to_owned(),
            KeySource::Development(_) => "this machine's development key".to_owned(),
        };
        Ok(match source.public()? {
            Some(public) => Self::public(&public, from),
            None => Self::Unknown,
        })
    }

    /// That these name keys, as far as that shows before any is read: a pipe gives its key once.
    pub fn judge(
        public_keys: &[String],
        key: &KeyArgs,
        trust_on_first_use: bool,
    ) -> anyhow::Result<()> {
        let mut named = public_keys.iter();
        if let Some(given) =
            named.find(|given| !Path::new(given).exists() && fingerprints(given).is_none())
        {
            return Err(neither(given).into());
        }
        if !public_keys.is_empty() || trust_on_first_use {
            return Ok(());
        }
        let source = key::source(key)?;
        if matches!(source, KeySource::Development(_)) && source.public()?.is_none() {
            return Err(unknown().into());
        }
        Ok(())
    }

    /// The key that signs in this run.
    pub fn signing(signing: &Signing) -> Self {
        Self::Key {
            fingerprint: signing.fingerprint.clone(),
            from: "the key that signs".to_owned(),
        }
    }

    /// Every `--public-key`.
    fn all_given(given: &[String]) -> anyhow::Result<Self> {
        let mut all = Vec::new();
        for one in given {
            all.extend(Self::given(one)?);
        }
        match <[Self; 1]>::try_from(all) {
            Ok([one]) => Ok(one),
            Err(all) => Ok(Self::OneOf(all)),
        }
    }

    /// `--public-key`: the file of a public key, a fingerprint, or several of these with commas or blanks between them, as a variable of
    /// CI has them.
    fn given(given: &str) -> anyhow::Result<Vec<Self>> {
        let from = format!("--public-key {given}");
        let path = Path::new(given);
        if !path.exists() {
            let all = fingerprints(given).ok_or_else(|| neither(given))?;
            let key = |fingerprint| Self::Key {
                fingerprint,
                from: from.clone(),
            };
            return Ok(all.into_iter().map(key).collect());
        }
        let text = lustre_files::read(path, lustre_files::TEXT).context(from.clone())?;
        let key = PublicKey::parse(&text).context(from.clone())?;
        Ok(vec![Self::public(&key, from)])
    }

    /// A public key that was given, as far as it proves anything.
    fn public(key: &PublicKey, from: String) -> Self {
        match key.check_for(Purpose::Repository) {
            Ok(()) => Self::Key {
                fingerprint: key.fingerprint(),
                from,
            },
            Err(error) => Self::Refused {
                fingerprint: key.fingerprint(),
                why: format!("the expected key ({from}) proves nothing: {error}"),
            },
        }
    }

    /// Which of `all` speaks of this key. What its owner took back is not expected by its fingerprint either.
    fn for_key<'a>(all: &'a [Self], fingerprint: &str) -> Option<&'a Self> {
        let mut of_it: Vec<&Self> = all
            .iter()
            .filter(|one| one.fingerprint() == Some(fingerprint))
            .collect();
        of_it.sort_by_key(|one| !matches!(one, Self::Refused { .. }));
        of_it.first().copied()
    }

    /// Of one key.
    fn fingerprint(&self) -> Option<&str> {
        match self {
            Self::Key { fingerprint, .. } | Self::Refused { fingerprint, .. } => Some(fingerprint),
            Self::OneOf(_) | Self::Unknown | Self::FirstUse => None,
        }
    }

    /// Whether somebody has said that this key is right.
    pub fn names(&self, fingerprint: &str) -> bool {
        let one = match self {
            Self::OneOf(all) => Self::for_key(all, fingerprint),
            one => Some(one),
        };
        matches!(one, Some(Self::Key { fingerprint: its, .. }) if its == fingerprint)
    }

    /// Compares the key that the repository brings, `published`, with the one expected.
    pub fn check(&self, published: &str) -> Verdict {
        // The first reads every key in the file, and there must be one only; the second checks what is bound to it.
        let found = PublicKey::parse(published)
            .map_err(|error| error.to_string())
            .and_then(|_| {
                lustre_repository::key::fingerprint(published).map_err(|error| error.to_string())
            });
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                return Verdict::Fail {
                    checked: "the public key".to_owned(),
                    findings: vec![error],
                };
            }
        };
        match self {
            Self::Key { fingerprint, from } if *fingerprint == found => Verdict::Pass {
                checked: found,
                note: format!("as expected: {from}"),
            },
            Self::Key { fingerprint, from } => Verdict::Fail {
                checked: found.clone(),
                findings: vec![format!(
                    "the repository has the key {found}, expected {fingerprint} ({from}). Nothing else of it was checked. If you know that \
                     the other key is right, pass it with --public-key"
                )],
            },
            Self::Refused { why, .. } => Verdict::Fail {
                checked: found,
                findings: vec![why.clone()],
            },
            Self::OneOf(all) => match Self::for_key(all, &found) {
                Some(one) => one.check(published),
                None => Verdict::Fail {
                    checked: found.clone(),
                    findings: vec![format!(
                        "the repository has the key {found}, and none of those that are expected ({}). Nothing else of it was checked. If you \
                         know that the other key is right, pass it with --public-key",
                        all.iter()
                            .filter_map(Self::fingerprint)
                            .collect::<Vec<_>>()
                            .join(", ")
                    )],
                },
            },
            Self::FirstUse => Verdict::Pass {
                checked: found,
                note: "the key is the repository's own, trusted on first use: passed checks show that the repository is complete, not who \
                       made it"
                    .to_owned(),
            },
            Self::Unknown => Verdict::NotRun(format!(
                "the repository is signed with its own key {found}, and no key is expected. Give the expected key with --public-key FILE \
                 or \
                 FINGERPRINT; or pass --trust-on-first-use to install packages signed with this key"
            )),
        }
    }
}

/// That nobody has said which key is expected, of a command that goes on with none but that.
pub fn unknown() -> Usage {
    Usage::new(advised(
        "no key is expected, so nobody can tell who made the repository",
        "give the key that its owner told you with --public-key FILE or FINGERPRINT; or pass --trust-on-first-use",
    ))
}

fn neither(given: &str) -> Usage {
    Usage::new(advised(
        format!("--public-key {given}: neither a file nor a fingerprint of 40 hexadecimal digits"),
        "`cargo xtask key show` prints that of a key; several have commas between them",
    ))
}

/// All fingerprints in a text. gpg prints one in groups, with blanks between them.
fn fingerprints(text: &str) -> Option<Vec<String>> {
    let with_commas = text.split(',').map(|it| parse_fingerprint(it).ok());
    let with_blanks = text
        .split(|c: char| c == ',' || c.is_whitespace())
        .filter(|it| !it.is_empty())
        .map(|it| parse_fingerprint(it).ok());
    let all: Option<Vec<_>> = with_commas.collect();
    all.or_else(|| with_blanks.collect())
        .filter(|all| !all.is_empty())
}

#[cfg(test)]
mod tests {
    use lustre_packaging::sign::{Key, Secret, Signer as _};

    use super::*;
    use crate::place::specs;

    /// The rehearsal distribution's key, since making one takes seconds.
    fn key() -> Key {
        let file = specs().join("distributions/rehearsal/key.asc");
        let text = Secret::new(std::fs::read(&file).unwrap());
        Key::from_armored(&text, "the test", None).unwrap()
    }

    fn expect(fingerprint: &str) -> Expected {
        Expected::Key {
            fingerprint: fingerprint.to_owned(),
            from: "a test".to_owned(),
        }
    }

    #[test]
    fn only_the_expected_key_alone_will_do() {
        let key = key();
        let public = key.public_key_armored().unwrap();
        let ours = key.fingerprint();

        match expect(&ours).check(&public) {
            Verdict::Pass { checked, note } => {
                assert_eq!(checked, ours);
                assert!(note.contains("a test"), "{note}");
            }
            other => panic!("{other:?}"),
        }
        let other = "0123456789ABCDEF0123456789ABCDEF01234567";
        match expect(other).check(&public) {
            Verdict::Fail { findings, .. } => {
                assert!(
                    findings[0].contains(&ours) && findings[0].contains(other),
                    "{findings:?}"
                );
            }
            verdict => panic!("{verdict:?}"),
        }
        match Expected::FirstUse.check(&public) {
            Verdict::Pass { note, .. } => assert!(note.contains("trusted on first use"), "{note}"),
            verdict => panic!("{verdict:?}"),
        }
        match Expected::Unknown.check(&public) {
            Verdict::NotRun(why) => {
                assert!(why.contains(&ours) && why.contains("--public-key"), "{why}");
            }
            verdict => panic!("{verdict:?}"),
        }
        // `rpm --import` takes every key that is in the file.
        let two = format!("{public}\n{public}");
        for published in [two.as_str(), "no key", ""] {
            for expected in [expect(&ours), Expected::Unknown, Expected::FirstUse] {
                let verdict = expected.check(published);
                assert!(matches!(verdict, Verdict::Fail { .. }), "{verdict:?}");
            }
        }
    }

    #[test]
    fn a_key_that_its_owner_took_back_or_that_has_ended_proves_nothing() {
        let key = key();
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key.asc");
        let since = key.public_key().signs_from();
        let ended = key.renewed(since + 1, Some(since + 2)).unwrap();
        for (given, why) in [
            (
                key.revoked(since, true).unwrap(),
                "was revoked by its owner",
            ),
            (ended.public_key(), "expired at"),
        ] {
            std::fs::write(&file, given.armored().unwrap()).unwrap();
            let file = file.to_str().unwrap().to_owned();
            let ours = key.fingerprint();
            // Whatever the repository says of its own, and whatever else is given.
            for given in [vec![file.clone()], vec![ours.clone(), file.clone(), ours]] {
                let expected = Expected::all_given(&given).unwrap();
                match expected.check(&key.public_key_armored().unwrap()) {
                    Verdict::Fail { findings, .. } => {
                        assert!(findings[0].contains(why), "{findings:?}")
                    }
                    verdict => panic!("{verdict:?}"),
                }
            }
        }
    }

    #[test]
    fn while_a_site_goes_to_another_key_each_of_several_is_expected() {
        let key = key();
        let public = key.public_key_armored().unwrap();
        let ours = key.fingerprint();
        let groups = |text: &str| {
            let digits: Vec<char> = text.chars().collect();
            let groups = digits.chunks(4).map(|it| it.iter().collect::<String>());
            groups.collect::<Vec<_>>().join(" ")
        };
        let other = "0123456789ABCDEF0123456789ABCDEF01234567";
        let checked = |given: &[String]| Expected::all_given(given).unwrap().check(&public);
        for given in [
            vec![other.to_owned(), ours.clone()],
            vec![format!("{other} {ours}")],
            vec![format!("{other},{ours}")],
            vec![format!(" {other},\n{ours} ")],
            vec![format!("{}, {}", groups(other), groups(&ours))],
            vec![groups(&ours)],
        ] {
            match checked(&given) {
                Verdict::Pass { checked, .. } => assert_eq!(checked, ours),
                verdict => panic!("{given:?}: {verdict:?}"),
            }
        }
        let third = other.replace('0', "F");
        match checked(&[format!("{other} {third}")]) {
            Verdict::Fail { findings, .. } => {
                for text in [ours.as_str(), other, &third] {
                    assert!(findings[0].contains(text), "{findings:?}");
                }
            }
            verdict => panic!("{verdict:?}"),
        }
        for wrong in ["", ",", " ", &format!("{ours} {}", &ours[1..])] {
            let error = Expected::all_given(&[wrong.to_owned()]).unwrap_err();
            assert!(error.is::<Usage>(), "{wrong}: {error:?}");
        }
    }

    #[test]
    fn a_public_key_is_given_as_a_file_or_as_a_whole_fingerprint() {
        let key = key();
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key.asc");
        std::fs::write(&file, key.public_key_armored().unwrap()).unwrap();
        let ours = key.fingerprint();
        let all = |given: &str| Expected::all_given(&[given.to_owned()]);
        let fingerprint = |given: &str| match all(given).unwrap() {
            Expected::Key { fingerprint, .. } => fingerprint,
            other => panic!("{given}: {other:?}"),
        };
        assert_eq!(fingerprint(file.to_str().unwrap()), ours);
        assert_eq!(fingerprint(&ours.to_lowercase()), ours);
        assert_eq!(fingerprint(&format!("0x{ours}")), ours);
        for wrong in [&ours[24..], "/no/such/key.asc"] {
            let error = all(wrong).unwrap_err();
            assert!(error.is::<Usage>(), "{error:?}");
        }
        std::fs::write(&file, "no key").unwrap();
        let error = all(file.to_str().unwrap()).unwrap_err();
        assert!(
            format!("{error:#}").contains("key.asc") && !error.is::<Usage>(),
            "{error:#}"
        );
    }
}
